"""What Mesos keeps for each position of the log, and for the replica: its protobuf ``Record``.

Field numbers are those of Mesos's ``log.proto``::

    Record    1 type (1 promise, 2 action, 3 metadata)  2 promise  3 action  4 metadata
    Promise   1 proposal
    Metadata  1 status  2 promised
    Action    1 position  2 promised  3 performed  4 learned  5 type (1 nop, 2 append, 3 truncate)
              6 nop (1 tombstone)  7 append (1 bytes)  8 truncate (1 to)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from aurora_store.log.files.coding import Malformed, varint

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PROMISE, _ACTION, _METADATA = 1, 2, 3


class Status(Enum):
    """How far a replica is on its way into the log."""

    VOTING = 1
    """It takes part."""
    RECOVERING = 2
    """It catches up, then takes part."""
    STARTING = 3
    """It waits for all others to begin a new log."""
    EMPTY = 4
    """It has no data."""


class Kind(Enum):
    """What an action does."""

    PROMISED = "promised"
    """Nothing: a promise was given for the position, and no value was heard of."""
    NOP = "nop"
    """Nothing: it fills a position."""
    APPEND = "append"
    """Adds an entry."""
    TRUNCATE = "truncate"
    """Forgets what is before a position."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """A replica's own state."""

    status: Status = Status.EMPTY
    promised: int = 0
    """It takes nothing from writers with a lower number."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a replica has at one position."""

    position: int
    kind: Kind
    learned: bool
    """Whether the replica knows that it is agreed; if not, another value may still win."""
    data: bytes = b""
    """Of an append."""
    truncate_to: int | None = None
    """Of a truncation: the first position that stays."""
    tombstone: bool = False
    """Of a nop: stands for a position that was truncated."""


def parse_metadata(data: bytes) -> Metadata:
    """The replica's state out of its record, which may be of the old kind with a promise alone.

    Raises:
        Malformed: it is not such a record.
    """
    record = _fields(data)
    kind = _number(record, 1)
    if kind == _PROMISE:
        return Metadata(Status.VOTING, _number(_fields(_text(record, 2)), 1))
    if kind != _METADATA:
        raise Malformed("it is no metadata of a replica")
    metadata = _fields(_text(record, 4))
    try:
        status = Status(_number(metadata, 1))
    except ValueError as exc:
        raise Malformed(f"unknown status {_number(metadata, 1)}") from exc
    return Metadata(status, _number(metadata, 2))


def parse_action(data: bytes) -> Action:
    """An action out of its record.

    Raises:
        Malformed: it is not such a record.
    """
    record = _fields(data)
    if _number(record, 1) != _ACTION:
        raise Malformed("it is no action")
    action = _fields(_text(record, 3))
    position = _number(action, 1)
    learned = bool(action.get(4, 0))
    kind = action.get(5)
    if kind is None:
        return Action(position, Kind.PROMISED, False)
    if kind == 1:
        tombstone = bool(_fields(_text(action, 6)).get(1, 0)) if 6 in action else False
        return Action(position, Kind.NOP, learned, tombstone=tombstone)
    if kind == 2:
        return Action(position, Kind.APPEND, learned, _text(_fields(_text(action, 7)), 1))
    if kind == 3:
        to = _number(_fields(_text(action, 8)), 1)
        return Action(position, Kind.TRUNCATE, learned, truncate_to=to)
    raise Malformed(f"unknown type {kind!r} of action")


_Fields = dict[int, "int | bytes"]


def _fields(data: bytes) -> _Fields:
    """The fields of a message; the last one counts, as protobuf says."""
    fields: _Fields = {}
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            fields[tag >> 3], at = varint(data, at)
        elif wire == _BYTES:
            length, at = varint(data, at)
            if at + length > end:
                raise Malformed("it ends within a field")
            fields[tag >> 3] = data[at : at + length]
            at += length
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise Malformed(f"unknown wire type {wire}")
    if at > end:
        raise Malformed("it ends within a field")
    return fields


def _number(fields: _Fields, number: int) -> int:
    value = fields.get(number)
    if not isinstance(value, int):
        raise Malformed(f"it lacks the number of field {number}")
    return value


def _text(fields: _Fields, number: int) -> bytes:
    value = fields.get(number)
    if not isinstance(value, bytes):
        raise Malformed(f"it lacks the content of field {number}")
    return value
