"""Backups of a directory: what is there, and a schedule that keeps the newest."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from aurora_store.backup.names import PART, made_at
from aurora_store.backup.sidecar import Backup, sidecar_of
from aurora_store.backup.write import Progress, write_backup
from aurora_store.errors import BackupFailed, Corrupt, FormatTooNew, StoreError

if TYPE_CHECKING:
    from aurora_store.store import Store

__all__ = ["BackupSchedule", "ScheduleState", "list_backups"]

_logger = logging.getLogger("aurora_store.backup")

_RETRY_AFTER = timedelta(minutes=5)
_PART_AGE = timedelta(days=1)


def list_backups(directory: Path) -> list[tuple[Path, Backup | StoreError]]:
    """The backups there, whatever they are called, the oldest first; or what is wrong with one.

    Listed is what has a sidecar of ours, or a name that a schedule gives. They are sorted by the
    time and position that they are of, those of one position by name. A backup is complete if its
    sidecar is there and the file has the size which that says.

    Raises:
        BackupFailed: the directory cannot be read.
    """
    try:
        there = {path.name for path in directory.iterdir()}
    except OSError as exc:
        raise BackupFailed(f"{directory} cannot be read: {exc.strerror}") from exc
    with_sidecar = {name.removesuffix(".json") for name in there if name.endswith(".json")}
    entries = [_look(directory / name) for name in sorted(there | with_sidecar) if name]
    return [(path, found) for _, path, found in sorted(filter(None, entries), key=lambda e: e[0])]


_Entry = tuple[tuple[str, int], Path, Backup | StoreError]
"""What to sort by, the file, and what it is."""


def _look(path: Path) -> _Entry | None:
    """``None`` for what is not a backup."""
    named = made_at(path)
    if named is None and not sidecar_of(path).is_file():
        return None
    # Of one that cannot say its own time, the time of making is the nearest known.
    key = (named.replace(tzinfo=None).isoformat() if named else "", 0)
    try:
        backup = Backup.read(path)
        # Without the Z it sorts: a fraction of a second may follow, or not.
        key = (backup.time.removesuffix("Z"), backup.position)
        size = path.stat().st_size
    except Corrupt as exc:
        return (key, path, exc) if named else None
    except FormatTooNew as exc:
        return key, path, exc
    except OSError as exc:
        return key, path, BackupFailed(f"{path} cannot be read: {exc.strerror}")
    if size != backup.size:
        problem = f"{path} has {size} bytes, and had {backup.size} when it was made"
        return key, path, Corrupt(problem)
    return key, path, backup


@dataclass(frozen=True)
class ScheduleState:
    """What became of a schedule's work, for status.

    Attributes:
        last: the newest backup that it made.
        failures: in a row, since the last one that succeeded.
        problem: of the last one, if it failed; empty otherwise.
    """

    last: Backup | None = None
    failures: int = 0
    problem: str = ""


class BackupSchedule:
    """Makes a backup every so often, and keeps the newest. Any thread may call it.

    What it deletes are complete backups of its own naming, once a newer one is on disk; at least
    one is always kept. It looks at the directory to know when the last one was made, so a restart
    changes nothing.

    Args:
        directory: where to. It must be there: a disk that is not mounted fails, and fills no other.
        every: how long after a backup the next one is due.
        keep: how many to keep.
        compress: with zstd.

    Raises:
        ValueError: less than one is to be kept, or the interval is not above 0.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        every: timedelta = timedelta(hours=1),
        keep: int = 48,
        compress: bool = True,
    ) -> None:
        if keep < 1:
            raise ValueError(f"at least one backup is kept, not {keep}")
        if every <= timedelta(0):
            raise ValueError(f"backups are made at intervals above 0, not every {every}")
        self.directory = Path(directory)
        self.every = every
        self.keep = keep
        self.compress = compress
        self._running = threading.Lock()
        self._lock = threading.Lock()
        self._state = ScheduleState()  # guarded by _lock
        self._failed_at: datetime | None = None  # guarded by _lock

    @property
    def state(self) -> ScheduleState:
        """What became of the last one."""
        with self._lock:
            return self._state

    def due(self, now: datetime | None = None) -> bool:
        """Whether a backup is to be made; five minutes after one that failed, at the latest."""
        now = now or datetime.now(timezone.utc)
        with self._lock:
            failed_at = self._failed_at
        if failed_at is not None and now - failed_at < min(_RETRY_AFTER, self.every):
            return False
        newest = max((made for path in self._complete() if (made := made_at(path))), default=None)
        # One that claims to be of the future was made by a clock that was wrong.
        return newest is None or newest > now or now - newest >= self.every

    def run(self, store: Store, *, progress: Progress | None = None) -> Backup:
        """Makes one now, and deletes those that are too many.

        Raises:
            BackupFailed, Corrupt, LogUnavailable, StoreClosed: it was not made; `state` and the log
                tell so, too. Nothing was deleted.
        """
        with self._running:
            now = datetime.now(timezone.utc)
            try:
                backup = self._make(store, progress)
            except StoreError as exc:
                with self._lock:
                    self._failed_at = now
                    failures = self._state.failures + 1
                    self._state = ScheduleState(self._state.last, failures, exc.message)
                _logger.error("no backup was made: %s", exc)
                raise
            with self._lock:
                self._failed_at = None
                self._state = ScheduleState(backup)
            _logger.info("backup %s: position %d", backup.path, backup.position)
            self._prune(now)
            return backup

    def _make(self, store: Store, progress: Progress | None) -> Backup:
        # Not made: of a disk that is not mounted it would fill the one below.
        if not self.directory.is_dir():
            raise BackupFailed(
                f"{self.directory} is not there, or is no directory: no backup goes there",
                hint="see whether its disk is mounted, or make the directory",
            )
        return write_backup(store, self.directory, compress=self.compress, progress=progress)

    def _complete(self) -> list[Path]:
        """Those of its own naming, in the order in which they were made."""
        if not self.directory.is_dir():
            return []
        return sorted(
            path
            for path, found in list_backups(self.directory)
            if made_at(path) is not None and isinstance(found, Backup)
        )

    def _prune(self, now: datetime) -> None:
        """Of a failure to delete only the log tells: the backup is made."""
        try:
            for path in self._complete()[: -self.keep]:
                path.unlink()
                sidecar_of(path).unlink()
            for path in self.directory.iterdir():
                # What a process that was killed left behind; a younger one may be under way.
                age = now.timestamp() - path.lstat().st_mtime
                if PART.fullmatch(path.name) and age > _PART_AGE.total_seconds():
                    path.unlink()
        except OSError as exc:
            _logger.warning("old backups in %s cannot be deleted: %s", self.directory, exc)
