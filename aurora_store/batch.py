"""Small units of work that share a transaction, each with its own result.

A scheduler does thousands of small things a second: a status update here, a preemption there. Each
in a transaction of its own waits for a quorum of its own. A `Batch` runs all that has gathered in
one transaction, each unit within its own savepoint, and tells their results once a quorum has
them. While that transaction waits for its quorum the next units gather. Apache Aurora's
``BatchWorker`` did the same, but told results before they were on disk.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from aurora_store.errors import StoreClosed, WaitTimeout

if TYPE_CHECKING:
    from aurora_store.store import Store

__all__ = ["Batch"]

_T = TypeVar("_T")


class _Unit(NamedTuple):
    work: Callable[[Connection], Any]
    future: Future[Any]


class Batch:
    """A thread that runs units of work, in the order of their submission. Any thread may submit.

    Made by `Store.batch`. As a context manager it closes at the end of the block.
    """

    def __init__(self, store: Store, *, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a batch has at least one unit, not {limit}")
        self._store = store
        self._limit = limit
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False  # guarded by _lock
        self._thread = threading.Thread(target=self._run, name="aurora batch", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], _T]) -> Future[_T]:
        """Runs ``work(connection)`` in the next transaction, within a savepoint.

        What it raises takes back what it did, and nothing of the other units. `work` must not wait
        for another unit's future: they may share a transaction. It must not commit or roll back
        the connection's transaction either.

        Returns:
            Its result or exception, once the transaction is durable. A transaction that fails as a
            whole fails all of its units with that error: `NotLeader`, `WriterBusy` and
            `LeadershipLost` say that nothing was written, `CommitOutcomeUnknown` that it may have
            been. A future that is cancelled before its turn never runs.

        Raises:
            StoreClosed: the batch was closed.
        """
        future: Future[_T] = Future()
        with self._lock:
            if self._closed:
                raise StoreClosed("the batch was closed: it takes no more units")
            self._queue.put(_Unit(work, future))
        return future

    def close(self, *, timeout: float = 60.0) -> None:
        """Takes no more units, and returns once those submitted before have their results.

        Idempotent. Not for use within a unit.

        Raises:
            WaitTimeout: they had not within `timeout` seconds. They still run.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise WaitTimeout(
                f"a batch did not end within {timeout:g} s: about {self._queue.qsize()} units wait"
            )

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        last = False
        while not last:
            units: list[_Unit] = []
            unit = self._queue.get()
            while unit is not None:
                if unit.future.set_running_or_notify_cancel():
                    units.append(unit)
                if len(units) == self._limit or self._queue.empty():
                    break
                unit = self._queue.get()
            last = unit is None
            if units:
                self._run_together(units)

    def _run_together(self, units: list[_Unit]) -> None:
        tell: list[Callable[[], None]] = []
        try:
            with self._store.begin() as connection:
                tell.extend(_run_alone(connection, unit) for unit in units)
        except BaseException as error:
            for unit in units:
                unit.future.set_exception(error)
            return
        for told in tell:
            told()


def _run_alone(connection: Connection, unit: _Unit) -> Callable[[], None]:
    """Runs one unit within a savepoint. Returns what tells its result.

    Raises:
        Exception: the savepoint is gone, and the transaction with it.
    """
    savepoint = connection.begin_nested()
    try:
        result = unit.work(connection)
        savepoint.commit()
    except BaseException as error:
        savepoint.rollback()
        driver = connection.connection.driver_connection
        if driver is None or not driver.in_transaction:
            raise  # SQLite rolled all of it back, as for ON CONFLICT ROLLBACK, or without memory
        raised = error
        return lambda: unit.future.set_exception(raised)
    return lambda: unit.future.set_result(result)
