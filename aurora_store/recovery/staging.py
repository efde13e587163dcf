"""The staged copy: one at a time for each log directory, in a folder beside it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2

from aurora_store.atomic_file import written_beside
from aurora_store.backup import Backup, sidecar_of, verify
from aurora_store.backup.verify import open_readonly, unpack
from aurora_store.errors import Corrupt, RecoveryRefused
from aurora_store.image import PAGE_BYTES

__all__ = ["Staged", "Staging"]

Progress = Callable[[str, int, int], None]

_CHANGE_COUNTER = slice(24, 28)  # in the header of an SQLite file: transactions that changed it
_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True)
class Staged:
    """What is staged.

    Attributes:
        path: of the copy, an ordinary SQLite file.
        source: what was staged, for people.
        position: of the log that it was the state at; ``None`` if that is not known, for it came
            from a file that no store has made.
        time: of that position, RFC 3339 in UTC; ``None`` likewise.
        staged_at: when, RFC 3339 in UTC.
        changes: transactions that have changed the copy since.
    """

    path: Path
    source: str
    position: int | None
    time: str | None
    staged_at: str
    changes: int

    def as_json(self) -> dict[str, Any]:
        """For the command line."""
        return {**asdict(self), "path": str(self.path)}


class Staging:
    """The folder ``LOG.recovery`` beside a log directory. For one process at a time.

    Args:
        log_directory: of the replica to recover; need not be there.
    """

    def __init__(self, log_directory: str | os.PathLike[str]) -> None:
        self.log_directory = Path(os.path.abspath(log_directory))
        self.folder = self.log_directory.with_name(f"{self.log_directory.name}.recovery")
        self._copy = self.folder / "staged.db"
        self._about = self.folder / "staged.json"

    def status(self) -> Staged | None:
        """What is staged; ``None`` if nothing is.

        Raises:
            Corrupt: the folder holds something else than a staged copy.
        """
        try:
            about = json.loads(self._about.read_bytes())
            changes = _change_counter(self._copy) - int(about["change_counter"])
            return Staged(
                self._copy,
                str(about["source"]),
                about["position"],
                about["time"],
                str(about["staged_at"]),
                changes % (1 << 32),
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as exc:
            raise Corrupt(
                f"{self._about} is damaged: {exc!r}", hint="aurora-store recovery unload"
            ) from exc

    def staged(self) -> Staged:
        """What is staged.

        Raises:
            RecoveryRefused: nothing is.
        """
        staged = self.status()
        if staged is None:
            raise RecoveryRefused(
                f"nothing is staged for {self.log_directory}",
                hint=f"aurora-store recovery stage FILE --directory {self.log_directory}",
            )
        return staged

    def stage_file(self, file: str | os.PathLike[str], *, progress: Progress) -> Staged:
        """Stages a backup, which is proved first, or any other SQLite file.

        Raises:
            RecoveryRefused: something is staged already.
            Corrupt: the file is damaged, or no SQLite database.
            OSError: it cannot be read, or the folder cannot be written.
        """
        file = Path(os.path.abspath(file))
        part = self._begin()
        if not sidecar_of(file).exists():
            _copy_foreign(file, part)
            return self._finish(part, f"{file} (no backup of a store)", None, None)
        backup, checks = verify(file, progress=progress)
        problems = [f"{check.name}: {check.problem}" for check in checks if check.problem]
        if problems:
            raise Corrupt(
                f"the backup {file} is damaged: {'; '.join(problems)}", hint="use another backup"
            )
        self._unpack(backup, part, progress)
        return self._finish(part, str(file), backup.position, backup.time)

    def stage_state(self, write: Callable[[Path], tuple[int, datetime]], *, source: str) -> Staged:
        """Stages what `write` writes into the file that it is given: it returns position and time.

        Raises:
            RecoveryRefused, OSError, and what `write` raises.
        """
        part = self._begin()
        position, time = write(part)
        return self._finish(part, source, position, _rfc3339(time))

    def unload(self) -> bool:
        """Deletes the staged copy; whether there was one.

        Raises:
            OSError: it cannot be deleted.
        """
        if not self.folder.exists():
            return False
        shutil.rmtree(self.folder)
        return True

    def _begin(self) -> Path:
        if self._about.exists():
            raise RecoveryRefused(
                f"something is staged for {self.log_directory} already",
                hint="see aurora-store recovery status; aurora-store recovery unload drops it",
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._give(self.folder)
        part = self.folder / "staging.db"
        for left in self.folder.iterdir():  # by an attempt that was killed
            left.unlink()
        return part

    def _unpack(self, backup: Backup, part: Path, progress: Progress) -> None:
        if not backup.compressed:
            shutil.copyfile(backup.path, part)
        elif problem := unpack(backup, part, progress):
            raise Corrupt(f"the backup {backup.path} is damaged: {problem}")

    def _finish(self, part: Path, source: str, position: int | None, time: str | None) -> Staged:
        _make_usable(part)
        os.chmod(part, 0o600)
        self._give(part)
        os.replace(part, self._copy)
        about = {
            "source": source,
            "position": position,
            "time": time,
            "staged_at": _rfc3339(datetime.now(timezone.utc)),
            "change_counter": _change_counter(self._copy),
        }
        with written_beside(self._about) as file:
            file.write(json.dumps(about, indent=1).encode() + b"\n")
        return self.staged()

    def _give(self, path: Path) -> None:
        """To the store's user, whose process reads it, if root runs the command."""
        if os.geteuid() == 0 and self.log_directory.exists():
            owner = self.log_directory.stat()
            os.chown(path, owner.st_uid, owner.st_gid)


def _copy_foreign(file: Path, to: Path) -> None:
    """By SQLite, so that what is in a write-ahead log beside it comes along."""
    with file.open("rb") as opened:
        if opened.read(len(_MAGIC)) != _MAGIC:
            raise Corrupt(
                f"{file} is neither a backup with its .json file nor a SQLite database",
                hint="copy a backup together with its .json file",
            )
    try:
        with (
            closing(dbapi2.connect(f"{file.as_uri()}?mode=ro", uri=True)) as source,
            closing(dbapi2.connect(to)) as target,
        ):
            source.backup(target)
        with closing(open_readonly(to)) as connection:
            findings = [row[0] for row in connection.execute("PRAGMA integrity_check(10)")]
    except dbapi2.Error as exc:
        raise Corrupt(f"{file} cannot be copied: {exc}") from exc
    if findings != ["ok"]:
        raise Corrupt(f"{file} is damaged: {'; '.join(findings)}")


def _make_usable(path: Path) -> None:
    """With the page size of a store, and no journal but for the time of a transaction."""
    with closing(dbapi2.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = delete").fetchall()
        if connection.execute("PRAGMA page_size").fetchone()[0] != PAGE_BYTES:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("VACUUM")


def _change_counter(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(100)[_CHANGE_COUNTER], "big")


def _rfc3339(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
