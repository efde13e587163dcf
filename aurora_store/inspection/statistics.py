"""Where the bytes of a log are, and how fast they came."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aurora_store.inspection.listing import Row, row_of
from aurora_store.log.files import Action, Progress, ReplicaDirectory, ReplicaState
from aurora_store.record import Kind, Record, changed_pages, time_of

BIGGEST = 10
_MOST_BUCKETS = 2048
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class Large:
    """A batch among the biggest ones, with its parts."""

    bytes: int
    position: int
    """Of its last entry."""
    pages: int
    transactions: int
    time_us: int


@dataclass(slots=True)
class Rates:
    """Counts over time, in buckets of equal width that is doubled when there are too many."""

    width_s: int = 1
    bytes: Counter[int] = field(default_factory=Counter)
    """By number of the bucket since 1970."""
    transactions: Counter[int] = field(default_factory=Counter)

    def add(self, time_us: int, size: int, transactions: int) -> None:
        """Counts an entry."""
        bucket = time_us // (_SECOND_US * self.width_s)
        self.bytes[bucket] += size
        self.transactions[bucket] += transactions
        while len(self.bytes) > _MOST_BUCKETS:
            self.widen()

    def widen(self) -> None:
        """Makes one bucket of two."""
        self.width_s *= 2
        for name in ("bytes", "transactions"):
            wider: Counter[int] = Counter()
            for bucket, count in getattr(self, name).items():
                wider[bucket // 2] += count
            setattr(self, name, wider)

    def fit(self, columns: int) -> None:
        """Widens the buckets until all of the time fits into so many."""
        while self.bytes and max(self.bytes) - min(self.bytes) >= columns:
            self.widen()

    def series(self) -> list[tuple[datetime, float, float]]:
        """Begin of each bucket, empty ones included, bytes per second and transactions per
        second."""
        if not self.bytes:
            return []
        return [
            (
                time_of(bucket * self.width_s * _SECOND_US),
                self.bytes[bucket] / self.width_s,
                self.transactions[bucket] / self.width_s,
            )
            for bucket in range(min(self.bytes), max(self.bytes) + 1)
        ]


@dataclass(slots=True)
class Statistics:
    """What `count` found."""

    state: ReplicaState
    disk_bytes: int
    entries: Counter[str] = field(default_factory=Counter)
    """By kind, as `Row.kind`."""
    bytes: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    page_bytes: Counter[int] = field(default_factory=Counter)
    """Bytes of changes before compression, by page of the database."""
    biggest: list[Large] = field(default_factory=list)
    rates: Rates = field(default_factory=Rates)
    first_time_us: int | None = None
    last_time_us: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "begin": self.state.begin,
            "end": self.state.end,
            "disk_bytes": self.disk_bytes,
            "entry_bytes": self.bytes.total(),
            "transactions": self.transactions,
            "first_time": _iso(self.first_time_us),
            "last_time": _iso(self.last_time_us),
            "kinds": {
                kind: {"entries": count, "bytes": self.bytes[kind]}
                for kind, count in self.entries.most_common()
            },
            "biggest": [
                {
                    "position": large.position,
                    "bytes": large.bytes,
                    "pages": large.pages,
                    "transactions": large.transactions,
                    "time": _iso(large.time_us),
                }
                for large in self.biggest
            ],
            "rates": {
                "seconds": self.rates.width_s,
                "buckets": [
                    {"time": time.isoformat(), "bytes_per_s": size, "transactions_per_s": count}
                    for time, size, count in self.rates.series()
                ],
            },
        }


def count(replica: ReplicaDirectory, *, progress: Progress | None = None) -> Statistics:
    """Reads the whole log and counts. What is damaged is left out."""
    statistics = Statistics(
        ReplicaState(replica.metadata, 0, None, [], [], 0), disk_bytes=replica.size
    )
    counter = _Counter(statistics)
    statistics.state = replica.scan(counter.look, progress=progress)
    statistics.biggest = sorted(counter.biggest, reverse=True)
    return statistics


class _Counter:
    def __init__(self, statistics: Statistics) -> None:
        self.biggest: list[Large] = []  # a heap
        self._statistics = statistics
        self._part_bytes = self._part_pages = 0

    def look(self, action: Action) -> None:
        """Takes the next position."""
        statistics, row = self._statistics, row_of(action)
        statistics.entries[row.kind] += 1
        statistics.bytes[row.kind] += row.bytes
        record = row.record
        if record is None:
            return
        statistics.transactions += record.transactions
        statistics.rates.add(record.time_us, row.bytes, record.transactions)
        if statistics.first_time_us is None:
            statistics.first_time_us = record.time_us
        statistics.last_time_us = record.time_us
        if record.kind in (Kind.BATCH, Kind.BATCH_PART):  # a snapshot changes nothing
            for page in changed_pages(action.data):
                statistics.page_bytes[page.number] += page.size
            self._rank(row, record)

    def _rank(self, row: Row, record: Record) -> None:
        if record.part == 0:
            self._part_bytes = self._part_pages = 0
        self._part_bytes += row.bytes
        self._part_pages += row.pages or 0
        if record.kind is Kind.BATCH_PART:
            return
        large = Large(
            self._part_bytes, row.position, self._part_pages, record.transactions, record.time_us
        )
        self._part_bytes = self._part_pages = 0
        heapq.heappush(self.biggest, large)
        if len(self.biggest) > BIGGEST:
            heapq.heappop(self.biggest)


def _iso(time_us: int | None) -> str | None:
    return None if time_us is None else time_of(time_us).isoformat()
