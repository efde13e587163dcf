"""Where the entries of a log come from: a running store, or a replica's directory.

What both guarantee: entries come in ascending order, none is left out, and each is agreed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from aurora_store.errors import Corrupt
from aurora_store.log import Entry, Position

if TYPE_CHECKING:
    from aurora_store.log import Log
    from aurora_store.log.files import Action

__all__ = ["DirectorySource", "LogSource", "Progress", "Source"]

Progress = Callable[[int, int], None]
"""Takes how much was done, and how much there is to do."""


class Source(Protocol):
    """A log to read.

    Attributes:
        name: for messages.
        beginning: the first position that was not truncated.
        ending: the last one known to be agreed; -1 if there is none.
        damage: why there may be more behind `ending` that cannot be read; "" if there is not.
    """

    name: str
    beginning: Position
    ending: int
    damage: str

    def entries(
        self, first: int, last: int, *, progress: Progress | None = None
    ) -> Iterator[Entry]:
        """The entries from `first` to `last`, both included.

        Raises:
            Corrupt: one of the positions cannot be read.
        """
        ...


class LogSource:
    """The log of a store that is open in this process, up to what the store has applied."""

    def __init__(self, log: Log, ending: int) -> None:
        self._log = log
        self.name = f"the log in {log.directory}"
        self.beginning = log.beginning()
        self.ending = ending
        self.damage = ""

    def entries(
        self, first: int, last: int, *, progress: Progress | None = None
    ) -> Iterator[Entry]:
        """See `Source`."""
        for entry in self._log.stream(from_=first, to=last):
            yield entry
            if progress is not None:
                progress(entry.position - first + 1, last - first + 1)


class DirectorySource:
    """The directory of a replica, running or not, or a copy of it; nothing in it is touched."""

    def __init__(
        self, directory: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> None:
        """Reads it once, to find out what is there.

        Raises:
            LogUnavailable: it is none of a log, or cannot be read.
        """
        from aurora_store.log.files import ReplicaDirectory

        self.replica = ReplicaDirectory.read(directory)
        self.name = f"the log in {self.replica.path}"
        agreed = -1

        def look(action: Action) -> None:
            nonlocal agreed
            if action.learned:
                agreed = action.position

        state = self.replica.scan(look, progress=progress)
        self.beginning = Position(state.begin)
        self.ending = agreed
        behind = [
            damage
            for damage in self.replica.damages
            if damage.positions is None or damage.positions[1] > agreed
        ]
        # With a hole before the end it is the hole that is to be told: whoever gets there hears.
        self.damage = str(behind[0]) if behind and not state.holes else ""
        self.unlearned = [Position(last) for _, last in state.unlearned if last > agreed]
        """Positions at the end that have a value, which may yet turn out to be another one."""

    def entries(
        self, first: int, last: int, *, progress: Progress | None = None
    ) -> Iterator[Entry]:
        """See `Source`."""
        from aurora_store.log.files import Kind

        due = first
        for action in self.replica.entries(first, last):
            if action.position != due or not action.learned:
                raise self._missing(due, action)
            due += 1
            if action.kind is Kind.APPEND:
                yield Entry(Position(action.position), action.data)
            if progress is not None:
                progress(due - first, last - first + 1)
        if due <= last:
            raise self._missing(due, None)

    def _missing(self, due: int, found: Action | None) -> Corrupt:
        until = found.position if found is not None else due
        which = f"position {due} is"
        if until > due + 1:
            which = f"positions {due} to {until - 1} are"
        damages = self.replica.damages
        why = f": {damages[0]}" if damages else ""
        return Corrupt(
            f"{which} missing in {self.name}{why}",
            hint="the directory of another replica; aurora-store log verify tells what is damaged",
        )
