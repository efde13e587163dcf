"""One row for each position of a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aurora_store.errors import Corrupt, ForeignEntry, FormatTooNew
from aurora_store.log.files import Action
from aurora_store.log.files import Kind as ActionKind
from aurora_store.record import Kind, Record, count_changed_pages, leader_of, read_record

FOREIGN = "foreign"
DAMAGED = "damaged"
TOO_NEW = "too_new"


@dataclass(frozen=True, slots=True)
class Row:
    """What a replica has at one position."""

    position: int
    kind: str
    """That of the record (docs/log-format.md) or, where there is none, of the action: ``nop``,
    ``truncate``, ``promised``; or `FOREIGN`, `DAMAGED`, `TOO_NEW`."""
    learned: bool
    bytes: int
    """Of the entry."""
    record: Record | None = None
    pages: int | None = None
    """How many it changes, of a kind that has pages."""
    note: str = ""
    """Who leads, what was truncated, or what is wrong."""

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        record = self.record
        row: dict[str, Any] = {
            "position": self.position,
            "kind": self.kind,
            "learned": self.learned,
            "bytes": self.bytes,
        }
        if record is not None:
            row.update(
                epoch=record.epoch,
                first_version=record.first_version,
                last_version=record.last_version,
                transactions=record.transactions,
                pages=self.pages,
                part=record.part,
                snapshot=record.snapshot or None,
                time=record.time.isoformat(),
            )
        return row | {"note": self.note or None}


def row_of(action: Action) -> Row:
    """The row of a position; a record that cannot be read makes one as well."""
    position, learned, data = action.position, action.learned, action.data
    if action.kind is not ActionKind.APPEND:
        note = "" if action.truncate_to is None else f"before {action.truncate_to}"
        return Row(position, action.kind.value, learned, 0, note=note)
    try:
        record = read_record(data)
        pages = count_changed_pages(data) if record.kind.holds_pages else None
        note = ""
        if record.kind in (Kind.LEADER, Kind.SNAPSHOT_BEGIN):
            leader = leader_of(data)
            note = f"{leader.host}, {leader.software}"
            if leader.schema:
                note += f", schema {leader.schema}"
    except ForeignEntry as exc:
        return Row(position, FOREIGN, learned, len(data), note=exc.message)
    except FormatTooNew as exc:
        return Row(position, TOO_NEW, learned, len(data), note=exc.message)
    except Corrupt as exc:
        return Row(position, DAMAGED, learned, len(data), note=exc.message)
    return Row(position, record.kind.label, learned, len(data), record, pages, note)
