"""The native side of one SQLite connection: the write lock, settling, refusals.

Beside `aurora_store.native` the only module that touches cffi data. Every refusal of the native
part becomes one of `aurora_store.errors` here.
"""

from __future__ import annotations

import math
from typing import Any, Final

from aurora_store import errors
from aurora_store.native import ffi as _ffi
from aurora_store.native import lib as _lib
from aurora_store.native import text

_ERRORS: Final[dict[int, type[errors.StoreError]]] = {
    _lib.AUR_REFUSED_NOT_LEADER: errors.NotLeader,
    _lib.AUR_REFUSED_LEADERSHIP_LOST: errors.LeadershipLost,
    _lib.AUR_REFUSED_OUTCOME_UNKNOWN: errors.CommitOutcomeUnknown,
    _lib.AUR_REFUSED_BUSY: errors.WriterBusy,
    _lib.AUR_REFUSED_NOT_READABLE: errors.LogUnavailable,
    _lib.AUR_REFUSED_STALE_CONNECTION: errors.LeadershipLost,
    _lib.AUR_REFUSED_CLOSED: errors.StoreClosed,
    _lib.AUR_REFUSED_TIMED_OUT: errors.CommitOutcomeUnknown,
}

BUSY: Final[int] = _lib.AUR_REFUSED_BUSY


class NativeConnection:
    """One `aur_connection`. Used by one thread at a time, as the SQLite connection it serves.

    Args:
        database: the `aur_database*` it is to read and write.
        read_only: it never takes the write lock.
    """

    __slots__ = ("_handle", "_outcome", "id")

    def __init__(self, database: Any, *, read_only: bool) -> None:
        handle = _lib.aur_connection_new(database, int(read_only))
        if handle == _ffi.NULL:
            raise MemoryError("no memory for a connection")
        self._handle = _ffi.gc(handle, _lib.aur_connection_free)
        self._outcome = _ffi.new("aur_outcome*")
        self.id: Final[int] = int(_lib.aur_connection_id(self._handle))

    def acquire(self, timeout_s: float) -> None:
        """Waits in line for the write lock; `BEGIN IMMEDIATE` or a writing statement next.

        Raises:
            WriterBusy, NotLeader, LeadershipLost, StoreClosed.
        """
        outcome = self._outcome
        _lib.aur_connection_acquire(self._handle, timeout_s, outcome)
        if outcome.status:
            raise self._error()

    def release(self) -> None:
        """Gives the write lock back if it is still held."""
        _lib.aur_connection_release(self._handle)

    def wait(self, timeout_s: float = math.inf) -> int:
        """Waits until what was last committed, or read under the write lock, is durable.

        Returns:
            a log position that includes it; 0 if there was nothing to wait for.

        Raises:
            LeadershipLost: it was taken back. CommitOutcomeUnknown: it may have been, or is still
            open after `timeout_s`.
        """
        outcome = self._outcome
        _lib.aur_connection_wait(self._handle, timeout_s, outcome)
        if outcome.status:
            raise self._error()
        return int(outcome.position)

    @property
    def unsettled(self) -> bool:
        """Whether `wait` has something to wait for or to report."""
        return bool(_lib.aur_connection_unsettled(self._handle))

    @property
    def stale(self) -> bool:
        """Whether this connection must be closed: it has seen what was taken back."""
        return bool(_lib.aur_connection_stale(self._handle))

    def take_refusal(self) -> tuple[int, str]:
        """Number and reason of what the VFS refused last; (0, "") if nothing.

        0 with a reason: a file that cannot be opened through this connection.
        """
        outcome = self._outcome
        _lib.aur_connection_refusal(self._handle, outcome)
        return outcome.status, text(outcome.reason)

    def _error(self) -> errors.StoreError:
        outcome = self._outcome
        return refused(outcome.status, text(outcome.reason))


def refused(refusal: int, reason: str) -> errors.StoreError:
    """The error of one `AUR_REFUSED_*` number."""
    return _ERRORS[refusal](reason)
