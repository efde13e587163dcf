"""Following a log through the files of a replica that runs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from aurora_store.inspection.listing import Row, row_of
from aurora_store.log.files import ReplicaDirectory

_PATIENCE_S = 2.0
_INTERVAL_S = 0.2

MISSING = "missing"


def tail(replica: ReplicaDirectory, first: int, *, seconds: float | None) -> Iterator[Row | None]:
    """The rows from position `first` on, and then those that are added, in order.

    A position that the replica has nothing for, or does not know to be agreed, is waited for. When
    a later one has been there for two seconds, a row says so and it is passed over.

    Args:
        seconds: ends after so many; ``None``: never; 0: nothing is waited for.

    Yields:
        Rows, and ``None`` whenever there is nothing new for now, several times a second.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    held_since: float | None = None
    while True:
        overdue = seconds == 0 or (
            held_since is not None and time.monotonic() - held_since > _PATIENCE_S
        )
        held: list[Row] = []
        due, held_up = first, False
        for action in replica.entries(first):
            if action.position > due:
                held.append(_missing(due, action.position - 1))
            due = action.position + 1
            if not action.learned:
                held.append(row_of(action))
                continue
            held_up = bool(held) and not overdue
            if held_up:
                break
            yield from held
            yield row_of(action)
            held, first = [], due
        if not held_up:
            held_since = None
        elif held_since is None:
            held_since = time.monotonic()
        yield None
        while not replica.refresh():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return
            if held_since is not None and now - held_since > _PATIENCE_S:
                break
            time.sleep(_INTERVAL_S)
            yield None


def _missing(first: int, last: int) -> Row:
    note = "this replica lacks it"
    if last > first:
        note = f"up to {last}: this replica lacks them"
    return Row(first, MISSING, False, 0, note=note)
