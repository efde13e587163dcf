"""Making a backup of a store."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import zstandard

from aurora_store import __version__
from aurora_store.atomic_file import written_beside
from aurora_store.backup.names import backup_name
from aurora_store.backup.pages import DatabaseChecksum
from aurora_store.backup.sidecar import Backup, sidecar_of
from aurora_store.backup.target import require_replaceable
from aurora_store.errors import BackupFailed, Corrupt
from aurora_store.image import PAGE_BYTES, Image

if TYPE_CHECKING:
    from aurora_store.store import Store

__all__ = ["write_backup"]

Progress = Callable[[str, int, int], None]

_LEVEL = 3
_SYNC_EVERY = 8 << 20
_USER_VERSION = slice(60, 64)  # in the header of an SQLite file
_ATTEMPTS = 10


class _Hashed:
    """A file that counts and hashes what is written to it.

    It goes to the disk bit by bit: at the end all at once, it would hold up the log's own writes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._synced = 0
        self.size = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._sha256.update(data)
        self.size += len(data)
        if self.size - self._synced >= _SYNC_EVERY:
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._synced = self.size
        return len(data)

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


def write_backup(
    store: Store,
    path: str | os.PathLike[str],
    *,
    compress: bool = False,
    progress: Progress | None = None,
) -> Backup:
    """Copies the durable version of now into a file; see `Store.backup`.

    A file is compressed if its name ends in ``.zst``; in a directory `compress` says so.

    Raises:
        ValueError: `compress` with a file of another name.
    """
    path = Path(os.path.abspath(path))
    try:
        if not path.is_dir():
            compress = _file_is_compressed(path, compress)
        return _write(store, path, compress, progress)
    except OSError as exc:
        if isinstance(exc, ConnectionError):
            raise  # whoever asked for it has gone
        raise BackupFailed(
            f"the backup {path} cannot be written: {exc.strerror or exc}",
            hint=f"see that {path.parent} is there, is writable, and has room",
        ) from exc


def _file_is_compressed(path: Path, compress: bool) -> bool:
    packed = path.name.endswith(".zst")
    if compress and not packed:
        raise ValueError(f"the name of a compressed backup ends in .zst, and not so {path.name}")
    return packed


def _write(store: Store, path: Path, compress: bool, progress: Progress | None) -> Backup:
    image, alembic = _hold(store)
    with image:
        if path.is_dir():
            path /= backup_name(datetime.now(timezone.utc), image.position, compress=compress)
        require_replaceable(path)
        checksum = DatabaseChecksum(image.is_absent)
        user_version = 0
        # Both are on disk before either gets its name: no full disk leaves one without the other.
        with written_beside(sidecar_of(path)) as beside, written_beside(path) as file:
            hashed = _Hashed(file)
            with _compressed(hashed, image.page_count) if compress else _plain(hashed) as write:
                for chunk in image.chunks():
                    if checksum.pages == 0:
                        user_version = int.from_bytes(chunk[_USER_VERSION], "big")
                    checksum.add(chunk)
                    write(chunk)
                    if progress is not None:
                        progress("backup", checksum.pages, image.page_count)
            if checksum.value != image.checksum:
                raise Corrupt(
                    f"the pages of version {image.version} have the checksum {checksum.value:016x},"
                    f" and the log says {image.checksum:016x}: this replica's memory is damaged",
                    hint="restart this replica, and see to its machine's memory",
                )
            backup = Backup(
                path=path,
                size=hashed.size,
                sha256=hashed.hexdigest(),
                compressed=compress,
                position=image.position,
                time=image.time.isoformat().replace("+00:00", "Z"),
                epoch=image.epoch,
                version=image.version,
                checksum=f"{image.checksum:016x}",
                page_count=image.page_count,
                absent_pages=tuple(checksum.absent),
                user_version=user_version,
                alembic_version=alembic,
                software=f"aurora-store {__version__}",
                host=store.host,
            )
            beside.write(backup.document())
            for each in (beside, file):
                each.flush()
                os.fsync(each.fileno())
            require_replaceable(path)  # again: the copying took its time
    return backup


@contextmanager
def _plain(file: _Hashed) -> Iterator[Callable[[bytes], Any]]:
    yield file.write


@contextmanager
def _compressed(file: _Hashed, page_count: int) -> Iterator[Callable[[bytes], Any]]:
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    # What it is given it need not close: our file is none of its business.
    stream: Any = compressor.stream_writer(file, size=page_count * PAGE_BYTES, closefd=False)  # type: ignore[arg-type]
    yield stream.write
    # Not after a failure: that the frame is too short then would be all that anybody hears of.
    stream.close()


def _hold(store: Store) -> tuple[Image, str | None]:
    """A version, and its Alembic revision: the one that is there before and after."""
    revision = _alembic_version(store)
    for _ in range(_ATTEMPTS):
        image = store.image()
        now = _alembic_version(store)
        if now == revision:
            break
        image.close()
        revision = now
    return image, revision


def _alembic_version(store: Store) -> str | None:
    if store.migrator is not None:  # which reads whether the software fits or not
        return ",".join(sorted(store.migrator.journal().heads)) or None
    with store.read() as connection:
        there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'alembic_version'"
        if connection.exec_driver_sql(there).first() is None:
            return None
        revisions = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()
        return ",".join(sorted(map(str, revisions))) or None
