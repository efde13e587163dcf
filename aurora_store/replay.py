"""A database fed with the entries of a log by hand: the state at any position of it.

replay = Replay()
for entry in entries:
    replay.apply(entry)
with closing(replay.connect()) as connection:
    connection.execute("SELECT ...")
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aurora_store import driver
from aurora_store.errors import StoreClosed
from aurora_store.image import Image
from aurora_store.log import Entry, Position
from aurora_store.native import call, ffi, lib
from aurora_store.record import Leader, fail, native_leader, time_of

__all__ = ["Replay", "ReplayInfo"]


@dataclass(frozen=True, slots=True)
class ReplayInfo:
    """How far a replay is.

    Attributes:
        position: of the last entry applied.
        next: where to go on; 0 before the first entry.
        epoch: of the newest leader entry.
        version, page_count, checksum: of the database.
        time_us: the leader's clock in the last entry.
        leader_position: of the newest leader entry.
        leader: who wrote that.
    """

    position: Position
    next: Position
    epoch: int
    version: int
    page_count: int
    checksum: int
    time_us: int
    leader_position: Position
    leader: Leader

    @property
    def time(self) -> datetime:
        """The leader's clock in the last entry, in UTC."""
        return time_of(self.time_us)


class Replay:
    """A database in memory, made of log entries. Threads may share it."""

    def __init__(self) -> None:
        native = lib.aur_replay_new()
        if native == ffi.NULL:
            raise MemoryError("no memory for a replay")
        self._native = ffi.gc(native, lib.aur_replay_free)

    def close(self) -> None:
        """Lets the database go; connections and images keep what they need. Idempotent."""
        if self._native is not None:
            ffi.release(self._native)
            self._native = None

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def apply(self, entry: Entry) -> Position:
        """Applies the next entry, with every check that a replica makes.

        The first one is that of the beginning of the log, or the begin of a complete snapshot. With
        that snapshot's end the database is that of its begin.

        Returns:
            where to go on: behind the entry, or once, behind the begin of that snapshot.

        Raises:
            ForeignEntry, FormatTooNew, Corrupt: it does not fit; the message names its position,
                and nothing has changed.
        """
        data = entry.data
        _, outcome = call(lib.aur_replay_apply, self._opened, entry.position, data, len(data))
        if outcome.status != lib.AUR_OK:
            fail(outcome, f"position {entry.position}: ")
        return Position(outcome.position)

    @property
    def info(self) -> ReplayInfo:
        """How far it is."""
        info = ffi.new("aur_replay_info *")
        lib.aur_replay_get_info(self._opened, info)
        return ReplayInfo(
            position=Position(info.position),
            next=Position(info.next),
            epoch=info.epoch,
            version=info.version,
            page_count=info.page_count,
            checksum=info.checksum,
            time_us=info.time_us,
            leader_position=Position(info.leader_position),
            leader=native_leader(info.leader),
        )

    @property
    def _opened(self) -> Any:
        if self._native is None:
            raise StoreClosed("the replay was closed")
        return self._native

    @property
    def database(self) -> Any:
        """Its `aur_database*`, valid as long as this object."""
        return lib.aur_replay_database(self._opened)

    @property
    def handle(self) -> driver.StoreHandle:
        """What the driver and SQLAlchemy connect to; keep the replay as long as it is used."""
        return driver.StoreHandle(self.database)

    def connect(self) -> driver.Connection:
        """A connection that reads. It goes on when the replay is gone."""
        return driver.connect(self.handle, read_only=True)

    def image(self) -> Image:
        """Holds the version of now."""
        return Image(self.database)

    def write(
        self,
        path: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Writes the database as an ordinary SQLite file, as `Image.write` does."""
        with self.image() as image:
            image.write(path, progress=progress)
