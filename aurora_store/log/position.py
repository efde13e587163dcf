"""Where something is in the log, and what is there."""

from __future__ import annotations

from dataclasses import dataclass

_DIGITS = 10  # as in the keys of the log's own files


class Position(int):
    """A position in the log: an integer that prints as one.

    >>> str(Position(42))
    '42'
    >>> Position.parse("0000000042") == 42
    True
    """

    def __new__(cls, value: int) -> Position:
        if not 0 <= value < 10**_DIGITS:
            raise ValueError(f"a log position is between 0 and {10**_DIGITS - 1}, not {value}")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position that prints as `text`, which may have leading zeros."""
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"a log position is a decimal number, not {text!r}")
        return cls(int(text))

    def __str__(self) -> str:
        return int.__repr__(self)

    def __repr__(self) -> str:
        return f"Position({int(self)})"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log."""

    position: Position
    data: bytes
