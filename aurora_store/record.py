"""What one entry of the log says: its header, who leads, which pages it changes.

Needs no log: the bytes are enough. `docs/log-format.md` describes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Final, NoReturn

from aurora_store.errors import Corrupt, ForeignEntry, FormatTooNew
from aurora_store.native import Outcome, call, ffi, lib, text

__all__ = [
    "ChangedPage",
    "Kind",
    "Leader",
    "PageChange",
    "Record",
    "changed_pages",
    "count_changed_pages",
    "fail",
    "leader_of",
    "read_record",
    "relocated",
    "time_of",
]

_USUAL_PAGES: Final = 1024  # an entry with more is decoded twice
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Kind(Enum):
    """What an entry is."""

    LEADER = 1
    HEARTBEAT = 2
    BATCH = 3
    BATCH_PART = 4
    SNAPSHOT_BEGIN = 5
    SNAPSHOT_CHUNK = 6
    SNAPSHOT_END = 7

    @property
    def label(self) -> str:
        """As docs/log-format.md calls it."""
        return self.name.lower()

    @property
    def holds_pages(self) -> bool:
        """Whether entries of this kind carry pages."""
        return self in (Kind.BATCH, Kind.BATCH_PART, Kind.SNAPSHOT_CHUNK)


class PageChange(Enum):
    """How an entry says what a page became."""

    FULL = 0
    PATCH = 1
    ABSENT = 2


@dataclass(frozen=True, slots=True)
class Record:
    """The header of an entry; the fields are those of docs/log-format.md.

    Attributes:
        compressed: whether the body is stored as one zstd frame.
        body_size: of the body before compression, in bytes.
    """

    kind: Kind
    epoch: int
    first_version: int
    last_version: int
    checksum_before: int
    checksum_after: int
    time_us: int
    snapshot: int
    page_count: int
    part: int
    transactions: int
    body_size: int
    compressed: bool

    @property
    def time(self) -> datetime:
        """The leader's clock when it made the entry, in UTC."""
        return time_of(self.time_us)


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads, as the first entry of a reign tells."""

    host: str
    software: str
    instance: str
    schema: str


@dataclass(frozen=True, slots=True)
class ChangedPage:
    """One page that an entry changes; `size` is what that takes in the entry, uncompressed."""

    number: int
    change: PageChange
    size: int


def time_of(time_us: int) -> datetime:
    """The time of a record, in UTC."""
    return _EPOCH + timedelta(microseconds=time_us)


def read_record(data: bytes, *, position: int | None = None) -> Record:
    """The header of an entry, once all its bytes were checked.

    Args:
        position: of the entry, for the message of an error.

    Raises:
        ForeignEntry, FormatTooNew, Corrupt: it is none that this release can read.
    """
    record = ffi.new("aur_record *")
    _, outcome = call(lib.aur_record_header, data, len(data), record)
    if outcome.status != lib.AUR_OK:
        fail(outcome, "" if position is None else f"position {position}: ")
    return Record(
        kind=Kind(record.kind),
        epoch=record.epoch,
        first_version=record.first_version,
        last_version=record.last_version,
        checksum_before=record.checksum_before,
        checksum_after=record.checksum_after,
        time_us=record.time_us,
        snapshot=record.snapshot,
        page_count=record.page_count,
        part=record.part,
        transactions=record.transactions,
        body_size=record.body_size,
        compressed=bool(record.compressed),
    )


def leader_of(data: bytes) -> Leader:
    """What a `Kind.LEADER` or `Kind.SNAPSHOT_BEGIN` entry says of the leader.

    Raises:
        ForeignEntry, FormatTooNew, Corrupt: it is no such entry.
    """
    leader = ffi.new("aur_leader *")
    _, outcome = call(lib.aur_record_leader, data, len(data), leader)
    if outcome.status != lib.AUR_OK:
        fail(outcome)
    return native_leader(leader)


def native_leader(leader: Any) -> Leader:
    """A leader out of an `aur_leader`."""
    return Leader(*map(text, (leader.host, leader.software, leader.instance, leader.schema)))


def changed_pages(data: bytes) -> list[ChangedPage]:
    """The pages that an entry changes, in ascending order; none if its kind has no pages.

    Raises:
        ForeignEntry, FormatTooNew, Corrupt: it is none that this release can read.
    """
    capacity = _USUAL_PAGES
    while True:
        pages = ffi.new("aur_page_change[]", capacity)
        count, outcome = call(lib.aur_record_pages, data, len(data), pages, capacity)
        if outcome.status != lib.AUR_OK:
            fail(outcome)
        if count <= capacity:
            return [
                ChangedPage(page.number, PageChange(page.change), page.size)
                for page in pages[0:count]
            ]
        capacity = count


def count_changed_pages(data: bytes) -> int:
    """How many pages an entry changes, after all of it was decoded; 0 if its kind has no pages.

    Raises:
        ForeignEntry, FormatTooNew, Corrupt: it is none that this release can read.
    """
    count, outcome = call(lib.aur_record_pages, data, len(data), ffi.NULL, 0)
    if outcome.status != lib.AUR_OK:
        fail(outcome)
    return int(count)


def relocated(data: bytes, snapshot: int) -> bytes:
    """The entry for a log where the newest complete snapshot begins at `snapshot`; 0: nowhere.

    Raises:
        ForeignEntry, FormatTooNew, Corrupt: it is none that this release can read.
    """
    copy = ffi.new("char[]", data)
    _, outcome = call(lib.aur_record_relocate, copy, len(data), snapshot)
    if outcome.status != lib.AUR_OK:
        fail(outcome)
    return bytes(ffi.buffer(copy, len(data)))


def fail(outcome: Outcome, where: str = "") -> NoReturn:
    """Raises what the outcome of looking at an entry means; `where` begins the message."""
    message = f"{where}{outcome.reason}"
    if outcome.status == lib.AUR_NOT_OURS:
        raise ForeignEntry(message, hint="is this the log of an aurora-store?")
    if outcome.status == lib.AUR_TOO_NEW:
        raise FormatTooNew(message, hint="upgrade aurora-store here")
    if outcome.status == lib.AUR_CORRUPT:
        raise Corrupt(message)
    raise MemoryError(message)
