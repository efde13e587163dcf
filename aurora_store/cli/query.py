"""What the commands share that run SQL which somebody typed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_STEPS = 10_000  # of SQLite's virtual machine: well below a millisecond


@contextmanager
def interruptible(connection: Any) -> Iterator[None]:
    """While the block runs, Ctrl-C ends a statement of the connection, as `KeyboardInterrupt`.

    SQLite gives nothing back before it has the next row, so Python would not see the signal.
    """
    from pysqlite3 import dbapi2

    connection.set_progress_handler(_look, _STEPS)
    try:
        yield
    except dbapi2.OperationalError as exc:
        # Nobody else interrupts: the handler was left by an exception.
        if exc.sqlite_errorcode == dbapi2.SQLITE_INTERRUPT:
            raise KeyboardInterrupt from exc
        raise
    finally:
        connection.set_progress_handler(None, 0)


def _look() -> int:
    """Python runs the handlers of signals when it gets here."""
    return 0
