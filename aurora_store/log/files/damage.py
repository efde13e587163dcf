"""What is wrong with a replica's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Damage:
    """A place in a file that cannot be read, or is missing."""

    file: str
    """Name of the file in the directory; "" where it is not one file's fault."""

    offset: int | None
    """Of the first byte of what cannot be read; ``None`` for the file as a whole."""

    what: str
    """What is wrong."""

    positions: tuple[int, int] | None = None
    """First and last position of the log that may be lost or outdated; ``None`` if not known."""

    def __str__(self) -> str:
        place = self.file if self.offset is None else f"{self.file} at byte {self.offset}"
        text = f"{place}: {self.what}" if place else self.what
        if self.positions is not None:
            first, last = self.positions
            text += (
                f"; positions {first} to {last} may be lost"
                if first != last
                else (f"; position {first} may be lost")
            )
        return text


Report = Callable[[Damage], None]
"""Takes what is found, in the order in which it is found."""
