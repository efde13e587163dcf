"""Replicas in processes of their own: functions that run there, and ensembles of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from sqlalchemy import text

from aurora_store import Store, driver
from aurora_store.log import Log
from aurora_store.native import ffi, lib
from benchmarks import tasks
from benchmarks.processes import Process, free_addresses
from benchmarks.threads import Taken, repeat

_START_S = 300.0  # reading a log of 1 GB, too

# Of the process that these functions run in: it has one replica.
_log: Log | None = None
_store: Store | None = None
_connections: list[Any] = []


class MemoryLog:
    """The test double of a replicated log, in the place of a `Log`."""

    directory = Path("memory")

    def __init__(self) -> None:
        ensemble = lib.aur_memory_ensemble_new()
        self.handle = ffi.gc(lib.aur_log_open_memory(ensemble), lib.aur_log_free)
        lib.aur_memory_ensemble_free(ensemble)

    def close(self) -> None:
        """Ends every call under way."""
        lib.aur_log_close(self.handle)


def open_log(directory: str, **options: Any) -> None:
    """Opens the log alone."""
    global _log
    _log = Log.open(directory, **options)


def open_store(directory: str, **options: Any) -> None:
    """Opens a store; ``"memory"`` is one on the test double."""
    global _store
    if directory == "memory":
        _store = Store(cast(Log, MemoryLog()), **options)
    else:
        _store = Store.open(directory, **options)


def close() -> None:
    """Closes what was opened."""
    global _log, _store
    _connections.clear()
    if _store is not None:
        _store.close()
    if _log is not None:
        _log.close()
    _store = _log = None


def log() -> Log:
    """This process's log."""
    assert _log is not None
    return _log


def store() -> Store:
    """This process's store."""
    assert _store is not None
    return _store


def log_ready() -> None:
    """Returns once the replica has begun its log."""
    log().ending(timeout=_START_S)


def store_ready() -> None:
    """Returns once the replica has read the log."""
    store().wait_caught_up(timeout=_START_S)


def connect(*, read_only: bool = False) -> Any:
    """A DB-API connection to this process's store; it stays open."""
    connection = driver.connect(store().name, read_only=read_only)
    _connections.append(connection)
    return connection


def lead_and_fill(rows: int) -> None:
    """Becomes leader and makes the tables, with `rows` tasks."""
    store().lead(timeout=_START_S)
    tasks.fill(connect(), rows)


@dataclass(frozen=True)
class Counters:
    """What the store of a process wrote since it was opened."""

    appends: int
    bytes: int
    transactions: int

    def __sub__(self, other: Counters) -> Counters:
        return Counters(
            self.appends - other.appends,
            self.bytes - other.bytes,
            self.transactions - other.transactions,
        )


def counters() -> Counters:
    """Of the leader."""
    status = store().status()
    return Counters(status.appends, status.bytes_appended, status.transactions)


def append_for(seconds: float, size: int) -> Taken:
    """Appends of `size` random bytes, one after the other, by a process that has a log."""
    target, data = log(), os.urandom(size)
    target.elect(timeout=_START_S)
    for _ in range(20):
        target.append(data)
    return repeat([lambda: target.append(data)], seconds)


def write_for(
    seconds: float, writers: int, rows: int, interface: str
) -> tuple[Taken, float, Counters]:
    """Transactions by `writers` threads at the same time, on a database of `rows` tasks.

    Returns:
        How long each took, from its begin to its acknowledged commit; the processor time of this
        process; and what was written.
    """
    own: list[Any] = []
    actions = [_writer(number, rows, interface, own) for number in range(writers)]
    before, processor = counters(), time.process_time()
    taken = repeat(actions, seconds)
    processor = time.process_time() - processor
    written = counters() - before
    for connection in own:
        connection.close()
    return taken, processor, written


def _writer(number: int, rows: int, interface: str, own: list[Any]) -> Callable[[], None]:
    pick = tasks.picker(number, rows)
    if interface == "DB-API":
        connection = driver.connect(store().name)
        own.append(connection)
        return lambda: tasks.change(connection, pick())
    update, insert = text(tasks.UPDATE_NAMED), text(tasks.INSERT_NAMED)
    target = store()

    def change() -> None:
        at = tasks.now_ms()
        values = {"status": tasks.status_of(at), "at": at, "id": pick()}
        with target.begin() as session:
            session.execute(update, values)
            session.execute(insert, values)

    return change


class Ensemble:
    """Replicas with a static set of members, each in a process of its own."""

    def __init__(
        self,
        parent: Path,
        replicas: int,
        opener: Callable[..., None],
        ready: Callable[[], None],
        options: dict[str, Any],
    ) -> None:
        self.directory = Path(mkdtemp(dir=parent))
        self._opener, self._ready, self._options = opener, ready, options
        self._addresses = free_addresses(replicas) if replicas > 1 else []
        self.processes: list[Process] = []
        for number in range(replicas):
            self.processes.append(Process())
            self._open(number, opener)
        for each in self.processes:
            each.start(ready)
        for each in self.processes:
            each.result()

    def restart(self, number: int) -> None:
        """Opens a replica that was killed again, and waits until it has read the log."""
        self.reopen(number, self._opener)
        self.processes[number].call(self._ready)

    def reopen(self, number: int, opener: Callable[..., Any]) -> Any:
        """Opens a replica that was killed again; what `opener` returned there."""
        self.processes[number] = Process()
        return self._open(number, opener)

    def _open(self, number: int, opener: Callable[..., Any]) -> Any:
        options = dict(self._options)
        if self._addresses:
            options |= {
                "address": self._addresses[number],
                "peers": self._addresses,
                "auto_initialize": True,
            }
        return self.processes[number].call(opener, str(self.directory / str(number)), **options)

    def kill(self) -> None:
        """Ends every process."""
        for each in self.processes:
            each.kill()


@contextlib.contextmanager
def logs(parent: Path, replicas: int, **options: Any) -> Iterator[Ensemble]:
    """Replicas of a log."""
    ensemble = Ensemble(parent, replicas, open_log, log_ready, options)
    try:
        yield ensemble
    finally:
        ensemble.kill()


@contextlib.contextmanager
def stores(parent: Path, replicas: int, **options: Any) -> Iterator[Ensemble]:
    """Replicas of a store."""
    ensemble = Ensemble(parent, replicas, open_store, store_ready, options)
    try:
        yield ensemble
    finally:
        ensemble.kill()
