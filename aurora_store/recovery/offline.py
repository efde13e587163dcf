"""Recovery with everything down: states read from a log directory, and a new log made of a copy."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from aurora_store.atomic_file import directory_beside
from aurora_store.errors import RecoveryRefused
from aurora_store.history import Moment, replay_to
from aurora_store.log.directory import check_directory
from aurora_store.recovery.restore import Progress, restore
from aurora_store.sources import DirectorySource

__all__ = ["commit_offline", "write_state"]


def write_state(
    log_directory: Path, to: Path, *, at: Moment | None, progress: Progress
) -> tuple[int, datetime]:
    """Writes the state at a moment of a replica's directory as an ordinary SQLite file.

    The directory is read only, whether its process runs or not.

    Args:
        at: a position or a time; the newest that the replica knows to be agreed, if it is ``None``.

    Returns:
        Position and time of the last entry that is in it.

    Raises:
        LogUnavailable: the directory holds no log.
        LogTruncated, NotYetInLog: the moment is before or after what the log has.
        Corrupt, FormatTooNew: an entry is damaged, or cannot be applied.
    """
    source = DirectorySource(log_directory, progress=_named(progress, "scan"))
    with replay_to(source, at, progress=_named(progress, "replay")) as replay:
        replay.write(to, progress=_named(progress, "write"))
        return int(replay.info.position), replay.info.time


def _named(progress: Progress, step: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(step, done, total)


def commit_offline(
    log_directory: Path, path: Path, *, force: bool, progress: Progress
) -> tuple[int, Path | None]:
    """Makes a new log, of one replica, whose database is a staged copy.

    Copied to every replica of an ensemble before the first of them starts, it is the log of all. It
    is made beside its place, and takes it at the very end: whatever is raised before, or kills the
    process, the directory is as it was.

    Args:
        log_directory: where to.
        force: if a log is there already, it is moved aside, and stays readable.

    Returns:
        The last position of the new log, and where the old one is now.

    Raises:
        LogInUse: a process has the directory open.
        RecoveryRefused: a log is there, and `force` is not given.
        LibmesosNotFound, LogUnavailable: as `Store.open`.
        Corrupt: the copy is no sound database.
    """
    _check_place(log_directory, force)
    aside: Path | None = None
    try:
        with directory_beside(log_directory) as new:
            position = _fill(new, path, progress)
            # Again: it may have been a while.
            _check_place(log_directory, force)
            if log_directory.exists() and any(log_directory.iterdir()):
                aside = _free_name_beside(log_directory)
                os.rename(log_directory, aside)
    except BaseException:
        if aside is not None and not log_directory.exists():
            os.rename(aside, log_directory)
        raise
    return position, aside


def _check_place(log_directory: Path, force: bool) -> None:
    if log_directory.exists() and check_directory(log_directory) and not force:
        raise RecoveryRefused(
            f"log directory {log_directory} is not empty",
            hint="see aurora-store recovery diff; commit --force moves it aside",
        )


def _free_name_beside(log_directory: Path) -> Path:
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    aside = log_directory.with_name(f"{log_directory.name}.before-{stamp}")
    if aside.exists():
        raise RecoveryRefused(f"{aside} is there already", hint="try again in a second")
    return aside


def _fill(directory: Path, path: Path, progress: Progress) -> int:
    from aurora_store.store import Store

    with Store.open(directory, heartbeat=0, control=False) as store:
        store.wait_caught_up()
        store.lead()
        restore(store, path, progress=progress)
        store.step_down()
        return int(store.position)
