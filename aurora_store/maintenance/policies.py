"""When a store takes snapshots of its database into the log, and how much of the log it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from aurora_store.backup import BackupSchedule

__all__ = ["HistoryPolicy", "Policies", "SnapshotPolicy", "Taken"]


class Taken(Protocol):
    """What a policy looks at of a complete snapshot."""

    @property
    def position(self) -> int:
        """Of its first entry: the log may be forgotten before it."""

    @property
    def time(self) -> datetime:
        """When it was begun."""


@dataclass(frozen=True)
class SnapshotPolicy:
    """A snapshot is due when the log has grown so much, or after so long if anything changed.

    A starting replica reads the newest snapshot and all that came after it, so this bounds both the
    time that it takes and, with `HistoryPolicy`, the disk.

    Attributes:
        min_bytes: of log since the last snapshot, at least; a small database is not worth one for
            every few transactions.
        times_database: the log since the last one may be so many times as large as the database.
        max_age: of the newest one, if anything was committed since.
    """

    min_bytes: int = 64 << 20
    times_database: float = 2.0
    max_age: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if self.min_bytes < 0 or self.times_database < 0 or self.max_age <= timedelta(0):
            raise ValueError("a snapshot policy takes sizes of 0 or more, and an age above 0")

    def why(
        self, *, log_bytes: int, database_bytes: int, age: timedelta, changed: bool
    ) -> str | None:
        """Why a snapshot is due, or ``None`` if it is not.

        Args:
            log_bytes: written to the log since the newest snapshot.
            database_bytes: size of the database.
            age: of the newest snapshot; without one, how long one could have been taken.
            changed: whether anything was committed since.
        """
        if not changed:
            return None
        limit = max(self.min_bytes, int(self.times_database * database_bytes))
        if log_bytes >= limit:
            return f"the log grew by {log_bytes} bytes, the limit is {limit}"
        if age >= self.max_age:
            return f"the newest snapshot is {age} old, the limit is {self.max_age}"
        return None


@dataclass(frozen=True)
class HistoryPolicy:
    """How far back the log goes: both limits hold.

    Attributes:
        snapshots: so many complete ones stay, the newest included. With two, one that turns out to
            be damaged is not the end.
        time: the database can be read as it was at any moment of this time back.
    """

    snapshots: int = 2
    time: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.snapshots < 1 or self.time < timedelta(0):
            raise ValueError("a history policy keeps at least 1 snapshot, and a time of 0 or more")

    def kept(self, snapshots: Sequence[Taken], now: datetime) -> int | None:
        """How many of `snapshots`, which are complete ones and the newest first, have to stay.

        The log before the last of these may go. ``None``: even before the oldest one all of the log
        has to stay.
        """
        for number, snapshot in enumerate(snapshots, start=1):
            if number >= self.snapshots and now - snapshot.time >= self.time:
                return number
        return None


@dataclass(frozen=True)
class Policies:
    """What a store does by itself: see each. ``None`` leaves that to whoever calls for it.

    Attributes:
        snapshot: when the leader takes a snapshot into the log.
        history: what of the log stays when it truncates it, after each snapshot.
        tokens: the leader forgets tokens (`aurora_store.tokens`) that are older.
        backups: every replica that has a schedule makes its own.
        interval: how often it looks whether something is to be done, in seconds.
    """

    snapshot: SnapshotPolicy | None = field(default_factory=SnapshotPolicy)
    history: HistoryPolicy | None = field(default_factory=HistoryPolicy)
    tokens: timedelta | None = timedelta(days=7)
    backups: BackupSchedule | None = None
    interval: float = 5.0

    def __post_init__(self) -> None:
        if self.interval <= 0:
            raise ValueError("the interval of maintenance is a number of seconds above 0")
