"""Time travel: the database as it was at a position of the log, or at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from aurora_store.dialect import create_engine
from aurora_store.errors import Corrupt, LogTruncated, NotYetInLog
from aurora_store.log import Position
from aurora_store.record import read_record
from aurora_store.replay import Replay
from aurora_store.sources import LogSource, Progress, Source

if TYPE_CHECKING:
    from aurora_store.store import Store

__all__ = ["Moment", "first_to_read", "position_at", "reading", "replay_to", "session"]

_WINDOW = 16  # positions to look through for an entry, before it is more

Moment = int | datetime
"""A position of the log, or a time, which has a time zone."""


def replay_to(
    source: Source, at: Moment | None = None, *, progress: Progress | None = None
) -> Replay:
    """The database at a moment: as it was when the entry of that position had been applied.

    Args:
        at: a time stands for the last entry that is not later, by the clocks of the leaders;
            by default the newest entry.
        progress: is told how many of how many positions are done.

    Raises:
        TypeError: it is neither a position nor a time.
        ValueError: a time without a time zone.
        LogTruncated: that is before the history kept; the message says where it begins.
        NotYetInLog: it is after the newest entry, or in the future.
        ForeignEntry, FormatTooNew, Corrupt: the log is damaged before that position.
    """
    last = position_at(source, at, progress=progress)
    first, loaded = first_to_read(source, last), False
    replay = Replay()
    while not loaded:
        loaded = True
        for entry in source.entries(first, last, progress=progress):
            first = replay.apply(entry)
            if first <= entry.position:  # a snapshot was loaded: on from its begin
                loaded = False
                break
    return replay


def position_at(
    source: Source, at: Moment | None = None, *, progress: Progress | None = None
) -> Position:
    """The position that a moment means. See `replay_to`; for a time it reads the whole log."""
    if isinstance(at, datetime):
        return _position_at_time(source, at, progress)
    if at is not None and (isinstance(at, bool) or not isinstance(at, int)):
        raise TypeError(f"a moment is a position or a datetime, not {at!r}")
    if source.damage and (at is None or at > source.ending):
        raise _damaged(source)
    if at is None:
        at = source.ending
    if source.ending < 0:
        raise NotYetInLog(f"{source.name} holds nothing yet")
    if at > source.ending:
        newest = Position(source.ending)
        raise NotYetInLog(f"position {at} is not in {source.name} yet: the newest one is {newest}")
    if at < source.beginning:
        raise LogTruncated(
            f"position {at} is before the history kept: {source.name} begins at position"
            f" {source.beginning}"
        )
    return Position(at)


def _position_at_time(source: Source, at: datetime, progress: Progress | None) -> Position:
    if at.tzinfo is None:
        raise ValueError(f"say the time zone of {at}: Z or +00:00 for UTC")
    if at > datetime.now(timezone.utc):
        raise NotYetInLog(f"{at.isoformat()} is in the future")
    found: Position | None = None
    newest: Position | None = None
    first: datetime | None = None
    for entry in source.entries(source.beginning, source.ending, progress=progress):
        # Clocks of leaders differ, so the times of entries need not ascend.
        time = read_record(entry.data, position=entry.position).time
        first = first or time
        newest = entry.position
        if time <= at:
            found = entry.position
    if source.damage and (found is None or found == newest):
        raise _damaged(source)
    if found is None:
        begins = f"begins at {first.isoformat()}" if first else "is empty"
        raise LogTruncated(f"{at.isoformat()} is before the history kept: {source.name} {begins}")
    return found


def _damaged(source: Source) -> Corrupt:
    if source.ending < 0:
        return Corrupt(f"{source.name} cannot be read: {source.damage}")
    return Corrupt(
        f"{source.name} can be read up to position {source.ending}, and it cannot be told"
        f" what comes behind: {source.damage}",
        hint=f"name a position up to {source.ending}, or the directory of another replica",
    )


def first_to_read(source: Source, last: Position) -> int:
    """Where to begin to read for the state at `last`: at a snapshot, or the log's beginning."""
    snapshot = _snapshot_before(source, last)
    if snapshot and snapshot >= source.beginning:
        return snapshot
    if source.beginning == 0:
        return 0
    begins = f"{source.name} begins at position {source.beginning}"
    for entry in source.entries(last, source.ending):
        if read_record(entry.data, position=entry.position).snapshot >= source.beginning:
            begins = f"{source.name} tells of the database from position {entry.position} on"
            break
    raise LogTruncated(f"position {last} is before the history kept: {begins}")


def _snapshot_before(source: Source, last: Position) -> int:
    """Where the newest snapshot begins that is complete at `last`; 0: there is none."""
    until, window = int(last), _WINDOW
    while until >= source.beginning:
        first = max(int(source.beginning), until - window)
        newest = deque(source.entries(first, until), maxlen=1)
        if newest:
            return read_record(newest[0].data, position=newest[0].position).snapshot
        until, window = first - 1, window * 8
    return 0


# ---- of a store that is open ----


@contextmanager
def reading(store: Store, at: Moment) -> Iterator[Connection]:
    """A connection that reads the database of a store as it was; see `replay_to`."""
    replay, engine = _open(store, at)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
        replay.close()


def session(store: Store, at: Moment, **options: Any) -> Session:
    """An ORM session that does; it cannot be used again once it is closed."""
    replay, engine = _open(store, at)
    return _Session(replay, engine, **options)


class _Session(Session):
    def __init__(self, replay: Replay, engine: Engine, **options: Any) -> None:
        super().__init__(engine, **options)
        self._replay = replay

    def close(self) -> None:
        super().close()
        self._replay.close()


def _open(store: Store, at: Moment) -> tuple[Replay, Engine]:
    replay = replay_to(LogSource(store.log, store.position), at)
    # Without a pool nothing holds the pages once the connection is closed.
    return replay, create_engine(replay.handle, read_only=True, poolclass=NullPool)
