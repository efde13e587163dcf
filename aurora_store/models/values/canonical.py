"""Values as canonical JSON: equal values give equal bytes, in every process and release.

JSON, because it needs no library, because SQLite reads it (``config.body ->> '$.tier'`` at any
console), and because it outlives the program. Canonical, because configurations are found by a hash
of their bytes:

- keys are sorted, there is no white space, characters outside ASCII stand for themselves;
- members of sets are sorted by their own canonical form;
- a field that has its default is left out. So a release that adds a field with a default still
  finds what was written before it, and an older one reads all that does not use it.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cache
from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar, overload

from aurora_store.errors import FormatTooNew

__all__ = ["DIGEST_BYTES", "Decoded", "decode", "digest", "dump", "encode"]

DIGEST_BYTES: Final = 16

Value = TypeVar("Value")
_Convert = Callable[[Any], Any]


def encode(value: object) -> str:
    """The canonical form."""
    return dump(_plain(value))


def decode(kind: type[Value], text: str) -> Value:
    """The value of that type whose canonical form this is.

    Raises:
        FormatTooNew: it has a field, or a member of a union, that this release does not know.
    """
    read: _Convert = _reader(kind)  # type: ignore[arg-type]  # types are hashable
    return typing.cast(Value, read(json.loads(text)))


def digest(text: str) -> bytes:
    """By what a canonical form is found: 128 bits of BLAKE2b."""
    return blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


def dump(plain: object) -> str:
    """What `encode` makes of plain JSON values."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Decoded(Sequence[Value], Generic[Value]):
    """Values of rows, made of JSON when somebody looks at them.

    It is a tuple to whoever compares it. Fetching a hundred thousand tasks does not make half a
    million events that nobody asked for.

    The values were checked when they were saved, and are not again. So they are made a field at a
    time, without a call for each, which takes a fifth of the time.

    Args:
        kind: a dataclass with slots that converts its fields as their types say, and no further.
        text: a JSON list with a list for each field: that field of all values.

    Raises:
        FormatTooNew: a value has a member of an enumeration that this release does not know. Raised
            to whoever looks first.
    """

    __slots__ = ("_content", "_type")

    def __init__(self, kind: type[Value], text: str) -> None:
        self._type = kind
        # The text, then the values: one field, as threads may look for the first time together.
        self._content: str | tuple[Value, ...] = text

    @property
    def _all(self) -> tuple[Value, ...]:
        content = self._content
        if isinstance(content, str):
            columns = json.loads(content)
            values = tuple(map(object.__new__, [self._type] * len(columns[0])))
            slots = _slots(self._type)  # type: ignore[arg-type]  # types are hashable
            for (put, read), column in zip(slots, columns, strict=True):
                plain = column if read is _as_it_is else map(read, column)
                deque(map(put, values, plain), maxlen=0)
            content = self._content = values
        return content

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Value]:
        return iter(self._all)

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Value]: ...
    def __getitem__(self, index: int | slice) -> Value | Sequence[Value]:
        return self._all[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Decoded):
            return self._all == other._all
        return self._all == other

    def __hash__(self) -> int:
        return hash(self._all)

    def __repr__(self) -> str:
        return repr(self._all)


# ---- writing -------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, frozenset):
        plain = [_plain(member) for member in value]
        return sorted(plain, key=dump)
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    return {
        name: _plain(member)
        for name, default in _defaults(type(value))  # type: ignore[arg-type]  # types are hashable
        if (member := getattr(value, name)) != default
    }


_NO_DEFAULT: Final = object()


@cache
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    found = []
    for field in dataclasses.fields(kind):
        default: Any = _NO_DEFAULT
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found.append((field.name, default))
    return tuple(found)


# ---- reading -------------------------------------------------------------------------------------


@cache
def _reader(hint: Any) -> _Convert:
    """What makes a value of that type of plain JSON values."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [_reader(each) for each in arguments if each is not type(None)]
        if inner is _as_it_is:
            return inner
        return lambda plain: None if plain is None else inner(plain)
    if origin in (frozenset, tuple):
        member = _reader(arguments[0])
        return lambda plain: origin(map(member, plain))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _dataclass_reader(hint)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return _enum_reader(hint)
    return _as_it_is


def _as_it_is(plain: Any) -> Any:
    return plain


def _fields(kind: Any) -> dict[str, _Convert]:
    hints = typing.get_type_hints(kind)
    return {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}


@cache
def _slots(kind: Any) -> tuple[tuple[Callable[[Any, Any], None], _Convert], ...]:
    """What sets each field, frozen or not, and what makes its value."""
    return tuple((getattr(kind, name).__set__, read) for name, read in _fields(kind).items())


def _dataclass_reader(kind: Any) -> _Convert:
    readers = _fields(kind)

    def read(plain: dict[str, Any]) -> Any:
        try:
            return kind(**{name: readers[name](value) for name, value in plain.items()})
        except KeyError:
            unknown = ", ".join(sorted(plain.keys() - readers.keys()))
            raise _too_new(f"{kind.__name__} has {unknown}") from None

    def read_plain(plain: dict[str, Any]) -> Any:
        try:
            return kind(**plain)
        except TypeError:  # perhaps of a field that there is not
            return read(plain)

    return read_plain if all(each is _as_it_is for each in readers.values()) else read


def _enum_reader(kind: type[IntEnum]) -> _Convert:
    members = {int(member): member for member in kind}

    def read(number: int) -> IntEnum:
        try:
            return members[number]
        except KeyError:
            raise _too_new(f"{kind.__name__} has the number {number}") from None

    return read


def _too_new(what: str) -> FormatTooNew:
    return FormatTooNew(
        f"{what}, which this release does not know", hint="upgrade aurora-store on this replica"
    )
