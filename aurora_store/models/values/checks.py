"""What the values check when they are made. Each raises a `ValueError` that names the field."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import IntEnum
from typing import Any, Final, TypeVar

_IDENTIFIER: Final = re.compile(r"[\w\-.]+", re.ASCII)
_INT64: Final = 1 << 63

_Enum = TypeVar("_Enum", bound=IntEnum)


def identifier(field: str, value: str) -> None:
    """Letters, digits, ``_``, ``-`` and ``.``, at least one: roles, environments, names of jobs."""
    if not isinstance(value, str) or _IDENTIFIER.fullmatch(value) is None:
        raise ValueError(
            f"{field} is one or more letters, digits, '_', '-' or '.' of ASCII, not {value!r}"
        )


def text(field: str, value: str) -> None:
    """Not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{field} is a text that is not empty, not {value!r}")


def integer(field: str, value: int, *, at_least: int = 0) -> None:
    """An integer of 64 bits that is not too small."""
    if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value < _INT64:
        raise ValueError(f"{field} is an integer of at least {at_least}, not {value!r}")


def number(field: str, value: float, *, above: float = 0.0) -> None:
    """A finite number, more than `above`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{field} is a number, not {value!r}")
    if not math.isfinite(value) or value <= above:
        raise ValueError(f"{field} is a finite number above {above:g}, not {value!r}")


def member(field: str, value: object, kind: type[_Enum]) -> _Enum:
    """That of an enumeration, also by its number; one of another enumeration has numbers, too."""
    if isinstance(value, kind):
        return value
    if type(value) is int:
        with suppress(ValueError):
            return kind(value)
    raise ValueError(f"{field} is a {kind.__name__}, not {value!r}")


def instance(field: str, value: object, kind: type) -> None:
    """Of that class."""
    if not isinstance(value, kind):
        raise ValueError(f"{field} is a {kind.__name__}, not {value!r}")


def several(field: str, values: Iterable[Any]) -> list[Any]:
    """Not one text, which Python takes for its letters."""
    if isinstance(values, str):
        raise ValueError(f"{field} are several, not the text {values!r}")
    return list(values)


def one_of(union: str, **members: Any) -> None:
    """Exactly one member of a union is there."""
    there = [name for name, value in members.items() if value is not None]
    if len(there) != 1:
        said = " and ".join(there) or "none"
        raise ValueError(f"{union} has exactly one of {', '.join(members)}, not {said}")


def unique(field: str, names: Iterable[str]) -> None:
    """No name twice."""
    seen = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{field} has {name!r} twice")
        seen.add(name)


def texts(field: str, mapping: Mapping[str, str]) -> None:
    """Keys and values of a mapping are texts."""
    for key, value in mapping.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ValueError(f"{field} maps texts to texts, not {key!r} to {value!r}")
