"""The two versions of the database at two positions of a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aurora_store.differences.rows import RowChange, row_changes
from aurora_store.differences.schema import SchemaChange, schema_changes
from aurora_store.differences.version import Version
from aurora_store.history import replay_to
from aurora_store.record import Kind, changed_pages, read_record
from aurora_store.sources import Progress, Source

_BATCHES = (Kind.BATCH, Kind.BATCH_PART)


@dataclass(frozen=True)
class Between:
    """What happened between two positions."""

    before: Version
    after: Version
    pages: frozenset[int]
    transactions: int

    def rows(self) -> Iterator[RowChange]:
        """See `row_changes`."""
        return row_changes(self.before, self.after, self.pages)

    def schema(self) -> list[SchemaChange]:
        """See `schema_changes`."""
        return schema_changes(self.before, self.after)


@contextmanager
def between(
    source: Source, first: int, last: int, *, progress: Progress | None = None
) -> Iterator[Between]:
    """The versions after `first` and after `last`, for as long as the block runs.

    Raises:
        what `replay_to` does.
    """
    pages: set[int] = set()
    transactions = parts = 0
    with replay_to(source, first, progress=progress) as replay, Version(replay) as before:
        for entry in source.entries(first + 1, last, progress=progress):
            record = read_record(entry.data)
            if record.kind in _BATCHES:
                if record.part > parts and transactions == 0:
                    pages |= parts_before(source, first, record.part - parts)
                parts = parts + 1 if record.kind is Kind.BATCH_PART else 0
                pages |= {page.number for page in changed_pages(entry.data)}
                transactions += record.transactions
            replay.apply(entry)
        with Version(replay) as after:
            yield Between(before, after, frozenset(pages), transactions)


def parts_before(source: Source, last: int, count: int) -> set[int]:
    """The pages of the last `count` parts of a batch up to `last`, which take effect later."""
    window = 4 * count
    while True:
        first = max(int(source.beginning), last - window)
        parts = [
            entry
            for entry in source.entries(first, last)
            if read_record(entry.data).kind is Kind.BATCH_PART
        ]
        if len(parts) >= count or first == source.beginning:
            return {page.number for part in parts[-count:] for page in changed_pages(part.data)}
        window *= 4
