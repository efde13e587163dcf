"""Going back to an earlier state: staged, looked at, changed, compared, and only then committed.

A staged copy is an ordinary SQLite file in a folder beside the log directory (`Staging`). It is
compared with what is live (`compare`), and becomes the database in one of two ways: while the store
runs, through its leader, as one transaction after which a new reign begins (`restore`); with
everything down, as the content of a new log (`commit_offline`). Neither deletes anything: the log
keeps what was there before until it is truncated, and an old log directory is moved aside.
"""

from aurora_store.recovery.compare import TableDifference, compare
from aurora_store.recovery.offline import commit_offline, write_state
from aurora_store.recovery.restore import Restored, restore
from aurora_store.recovery.staging import Staged, Staging

__all__ = [
    "Restored",
    "Staged",
    "Staging",
    "TableDifference",
    "commit_offline",
    "compare",
    "restore",
    "write_state",
]
