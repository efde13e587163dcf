"""Backups: ordinary SQLite files, consistent at one named log position.

    store.backup("/backup/scheduler.db")
    verify("/backup/scheduler.db")

A backup is a file, compressed with zstd if asked for, and beside it ``FILE.json``, which says what
is in it and how to prove it. It is made on a leader or a standby, and stops neither: it holds one
durable version while it copies. Both files are written beside, on disk, then renamed; mode 0600.
"""

from aurora_store.backup.schedule import BackupSchedule, list_backups
from aurora_store.backup.sidecar import Backup, sidecar_of
from aurora_store.backup.verify import Check, verify
from aurora_store.backup.write import write_backup

__all__ = [
    "Backup",
    "BackupSchedule",
    "Check",
    "list_backups",
    "sidecar_of",
    "verify",
    "write_backup",
]
