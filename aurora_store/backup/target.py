"""Where a backup may be written: where nothing is yet, or over a backup."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from aurora_store.backup.sidecar import Backup, sidecar_of
from aurora_store.errors import BackupFailed, Corrupt, FormatTooNew

__all__ = ["require_replaceable"]


def require_replaceable(path: Path) -> None:
    """Refuses a file if a backup in its place, and a sidecar beside it, would destroy something.

    Raises:
        BackupFailed: it lies in a log directory; or it, or what is where its sidecar goes, is
            there and is not a backup's.
        OSError: it cannot be looked at.
    """
    if os.path.lexists(path.parent / "CURRENT"):  # every LevelDB has one
        raise BackupFailed(
            f"{path.parent} is a log directory (it holds CURRENT), and no backup is written there",
            hint="name a file or a directory elsewhere, best on another disk",
        )
    there = [each for each in (path, sidecar_of(path)) if os.path.lexists(each)]
    for each in there:
        if not stat.S_ISREG(each.lstat().st_mode):
            raise BackupFailed(
                f"{each} is there, and is not a regular file: no backup replaces it",
                hint="name another file",
            )
    if there and not _is_backup(path):
        raise BackupFailed(
            f"{there[0]} is there, and is not a backup with its sidecar: no backup replaces it",
            hint="name another file, or move that one away",
        )


def _is_backup(path: Path) -> bool:
    try:
        Backup.read(path)
    except FormatTooNew:
        return True
    except Corrupt:
        return False
    return True
