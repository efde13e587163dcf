"""Proving a backup, without a store: every byte of the file, every page, and SQLite's own check."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import zstandard
from pysqlite3 import dbapi2

from aurora_store.backup.pages import DatabaseChecksum
from aurora_store.backup.sidecar import Backup
from aurora_store.errors import BackupFailed
from aurora_store.image import PAGE_BYTES

__all__ = ["Check", "open_readonly", "unpack", "verify"]

Progress = Callable[[str, int, int], None]

_CHUNK = 256 * PAGE_BYTES
_MOST_FINDINGS = 10


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: ``file``, ``compression``, ``database`` or ``integrity``.
        problem: what is wrong; empty if nothing is.
    """

    name: str
    problem: str


def verify(
    path: str | os.PathLike[str], *, progress: Progress | None = None
) -> tuple[Backup, list[Check]]:
    """Checks a backup: size and SHA-256 of the file, checksum of the database, integrity_check.

    Goes on after a damage as far as that makes sense. A compressed one is unpacked into the
    temporary directory (``TMPDIR``), which needs room for the database.

    Returns:
        What the sidecar says, and each check.

    Raises:
        Corrupt: the sidecar is missing or damaged, so that there is nothing to hold against.
        FormatTooNew: a newer release wrote it.
        BackupFailed: there is no such file, it cannot be read, or there is no room to unpack.
    """
    report = progress or (lambda step, done, total: None)
    path = Path(path)
    try:
        if path.is_dir():
            raise BackupFailed(
                f"{path} is a directory, not a backup",
                hint=f"name a file in it: aurora-store backup list {path}",
            )
        if not path.exists():
            raise BackupFailed(
                f"there is no file {path}", hint=f"aurora-store backup list {path.parent}"
            )
        backup = Backup.read(path)
        checks = [Check("file", _check_file(backup, report))]
        with tempfile.TemporaryDirectory(prefix="aurora-store-verify-") as directory:
            plain = backup.path
            if backup.compressed:
                plain = Path(directory) / "backup.db"
                checks.append(Check("compression", unpack(backup, plain, report)))
                if checks[-1].problem:
                    return backup, checks
            checks.append(Check("database", _check_pages(backup, plain, report)))
            report("integrity", 0, 1)
            checks.append(Check("integrity", _check_integrity(plain)))
            report("integrity", 1, 1)
    except OSError as exc:
        raise BackupFailed(f"the backup {path} cannot be checked: {exc}") from exc
    return backup, checks


def _check_file(backup: Backup, report: Progress) -> str:
    size = backup.path.stat().st_size
    if size != backup.size:
        return f"the file has {size} bytes, and had {backup.size} when it was made"
    digest = hashlib.sha256()
    with backup.path.open("rb") as file:
        done = 0
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            report("file", done, size)
    if digest.hexdigest() != backup.sha256:
        return f"the file's SHA-256 is {digest.hexdigest()}, and was {backup.sha256}"
    return ""


def unpack(backup: Backup, to: Path, report: Progress) -> str:
    """Writes the database of a compressed backup as an ordinary SQLite file.

    Returns:
        What is wrong with it; empty if nothing is.
    """
    total = backup.page_count * PAGE_BYTES
    with backup.path.open("rb") as file, to.open("wb") as plain:
        done = 0
        try:
            for chunk in zstandard.ZstdDecompressor().read_to_iter(file):
                plain.write(chunk)
                done += len(chunk)
                report("unpack", done, total)
                if done > total:
                    break
        except zstandard.ZstdError as exc:
            return f"it cannot be unpacked: {exc}"
    if done != total:
        return f"it unpacks to {done} bytes, and the database had {total}"
    return ""


def _check_pages(backup: Backup, plain: Path, report: Progress) -> str:
    size = plain.stat().st_size
    if size != backup.page_count * PAGE_BYTES:
        return f"the database has {size} bytes, and had {backup.page_count * PAGE_BYTES}"
    checksum = DatabaseChecksum(set(backup.absent_pages).__contains__)
    with plain.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum.add(chunk)
            report("database", checksum.pages, backup.page_count)
    if f"{checksum.value:016x}" != backup.checksum:
        return f"the database's checksum is {checksum.value:016x}, and was {backup.checksum}"
    return ""


def _check_integrity(plain: Path) -> str:
    try:
        with closing(open_readonly(plain)) as connection:
            pragma = f"PRAGMA integrity_check({_MOST_FINDINGS})"
            findings = [str(row[0]) for row in connection.execute(pragma)]
    except dbapi2.Error as exc:
        return f"SQLite cannot read it: {exc}"
    return "" if findings == ["ok"] else "; ".join(findings)


def open_readonly(path: Path) -> dbapi2.Connection:
    """A connection to a SQLite file that nobody changes; it makes no file beside it."""
    return dbapi2.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
