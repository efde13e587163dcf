"""LevelDB's write-ahead log: the writes that are in no table yet."""

from __future__ import annotations

import struct

from aurora_store.log.files.coding import Malformed, prefixed
from aurora_store.log.files.damage import Damage, Report
from aurora_store.log.files.journal import Journal

_BATCH = struct.Struct("<QI")  # sequence number of the first write, number of writes
_DELETE, _PUT = 0, 1

Writes = dict[bytes, tuple[int, bytes | None]]
"""For each key the newest write: sequence number and value, no value if the key was deleted."""


def read_wal(name: str, data: bytes, writes: Writes, report: Report) -> int | None:
    """Adds the writes of a log. Returns where it ends within a record, if it does."""
    journal = Journal(name, data, report)
    for offset, record in journal:
        try:
            _add(record, writes)
        except Malformed as exc:
            report(Damage(name, offset, f"a write cannot be understood: {exc}"))
    return journal.torn_at


def _add(record: bytes, writes: Writes) -> None:
    if len(record) < _BATCH.size:
        raise Malformed("it is too short")
    sequence, count = _BATCH.unpack_from(record)
    at = _BATCH.size
    done = 0
    while at < len(record):
        kind = record[at]
        key, at = prefixed(record, at + 1)
        value: bytes | None = None
        if kind == _PUT:
            value, at = prefixed(record, at)
        elif kind != _DELETE:
            raise Malformed(f"unknown type {kind}")
        known = writes.get(key)
        if known is None or known[0] <= sequence + done:
            writes[key] = sequence + done, value
        done += 1
    if done != count:
        raise Malformed(f"it has {done} parts and should have {count}")
