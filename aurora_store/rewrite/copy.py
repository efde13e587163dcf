"""Entries of one log, appended to another."""

from __future__ import annotations

from collections.abc import Iterable

from aurora_store.log import Entry, Log
from aurora_store.record import Kind, read_record, relocated


def copy_entries(entries: Iterable[Entry], log: Log) -> int:
    """Appends entries to an elected log, and returns how many.

    They stay what they are, but for where the newest snapshot begins: that is told by position, and
    positions without an entry are not copied.
    """
    count = 0
    places: dict[int, int] = {}  # of the begins of snapshots: old position, new one
    for entry in entries:
        record = read_record(entry.data)
        data = entry.data
        if record.snapshot:
            data = relocated(data, places.get(record.snapshot, 0))
        position = log.append(data, timeout=60.0)
        if record.kind is Kind.SNAPSHOT_BEGIN:
            places[entry.position] = position
        count += 1
    return count
