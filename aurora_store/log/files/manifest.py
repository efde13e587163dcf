"""LevelDB's manifest: which tables make up the database, and from which log on nothing is in one.

``CURRENT`` names the manifest, a journal whose records each change the set of tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aurora_store.log.files.coding import Malformed, prefixed, varint
from aurora_store.log.files.damage import Damage, Report
from aurora_store.log.files.journal import Journal

CURRENT = re.compile(rb"(MANIFEST-\d{6,})\n")
_COMPARATOR = b"leveldb.BytewiseComparator"
_TAG_COMPARATOR, _TAG_LOG, _TAG_NEXT_FILE, _TAG_SEQUENCE, _TAG_COMPACTION = 1, 2, 3, 4, 5
_TAG_DELETED, _TAG_NEW, _TAG_PREVIOUS_LOG = 6, 7, 9
_TRAILER = 8  # bytes of sequence number and type behind each key


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table as the manifest knows it."""

    number: int
    size: int
    smallest: bytes
    """Its first key."""
    largest: bytes
    """Its last key."""


@dataclass(slots=True)
class Manifest:
    """What the records of a manifest come to."""

    tables: dict[int, TableFile] = field(default_factory=dict)
    """By number of the file."""

    log_number: int = 0
    """Writes that are in no table yet are in the logs with this number and higher ones."""

    previous_log: int = 0
    """And in this one, if it is there."""

    records: int = 0
    """How many of them could be read."""

    torn_at: int | None = None
    """See `Journal`."""


def read_manifest(name: str, data: bytes, report: Report) -> Manifest:
    """Reads a manifest; of one that is damaged, what can be read.

    Raises:
        Malformed: it belongs to a database that is ordered in a way unknown here.
    """
    manifest = Manifest()
    journal = Journal(name, data, report)
    for offset, record in journal:
        try:
            _apply(manifest, record)
            manifest.records += 1
        except _Foreign as exc:
            raise Malformed(str(exc)) from exc
        except Malformed as exc:
            report(Damage(name, offset, f"a record cannot be understood: {exc}"))
    manifest.torn_at = journal.torn_at
    return manifest


class _Foreign(Malformed):
    """Not damaged, but not LevelDB's usual order of keys."""


def _apply(manifest: Manifest, record: bytes) -> None:
    at = 0
    while at < len(record):
        tag, at = varint(record, at)
        if tag == _TAG_COMPARATOR:
            comparator, at = prefixed(record, at)
            if comparator != _COMPARATOR:
                raise _Foreign(f"its keys are ordered by {comparator[:64]!r}")
        elif tag == _TAG_LOG:
            manifest.log_number, at = varint(record, at)
        elif tag == _TAG_PREVIOUS_LOG:
            manifest.previous_log, at = varint(record, at)
        elif tag in (_TAG_NEXT_FILE, _TAG_SEQUENCE):
            _, at = varint(record, at)
        elif tag == _TAG_COMPACTION:
            _, at = varint(record, at)  # level
            _, at = prefixed(record, at)
        elif tag == _TAG_DELETED:
            _, at = varint(record, at)  # level
            number, at = varint(record, at)
            manifest.tables.pop(number, None)
        elif tag == _TAG_NEW:
            _, at = varint(record, at)  # level
            number, at = varint(record, at)
            size, at = varint(record, at)
            smallest, at = prefixed(record, at)
            largest, at = prefixed(record, at)
            if len(smallest) < _TRAILER or len(largest) < _TRAILER:
                raise Malformed("a key of a table is too short")
            manifest.tables[number] = TableFile(
                number, size, smallest[:-_TRAILER], largest[:-_TRAILER]
            )
        else:
            raise Malformed(f"unknown tag {tag}")
