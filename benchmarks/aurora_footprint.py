"""What a task of the model takes: bytes in the log for a change of status, and memory."""

from __future__ import annotations

import random

from aurora_store.models import (
    ScheduleStatus,
    StateChangeRequest,
    StateManager,
    Stores,
    create_schema,
)
from benchmarks import aurora_values as values
from benchmarks import replicas
from benchmarks.settings import Row, Settings

S = ScheduleStatus
_PAGE_BYTES = 4096
_CHANGES = 200
_EVENTS_BEFORE = (2, 50)  # of a task whose change is measured


def run(settings: Settings) -> list[Row]:
    """Rows for the log, by how many events a task has; then one for memory."""
    count = 2000 if settings.quick else 100_000
    rows: list[Row] = []
    for events in _EVENTS_BEFORE:
        with replicas.stores(settings.directory, 1, heartbeat=0) as ensemble:
            rows.append(ensemble.processes[0].call(_log_bytes, count, events))
    with replicas.stores(settings.directory, 1, heartbeat=0) as ensemble:
        rows.append(ensemble.processes[0].call(_memory, count))
    return rows


def _begin() -> None:
    replicas.store().lead()
    with replicas.store().begin() as connection:
        create_schema(connection)


def _insert(count: int) -> list[str]:
    """Tasks of a configuration with 10,000 characters for the executor, PENDING, assigned."""
    ids: list[str] = []
    config = values.config(data="x" * 10_000)
    for first in range(0, count, 10_000):
        with replicas.store().begin() as connection:
            manager = StateManager(Stores(connection), scheduler="scheduler-1.example.org")
            ids += manager.insert_pending(config, range(first, min(first + 10_000, count)))
    return ids


def _log_bytes(count: int, events: int) -> Row:
    """Changes one by one, a transaction and a log entry each, of tasks all over the table."""
    _begin()
    ids = random.Random(1).sample(_insert(count), _CHANGES)
    with replicas.store().begin() as connection:
        manager = StateManager(Stores(connection), scheduler="scheduler-1.example.org")
        for number, each in enumerate(ids):
            manager.assign(each, f"host-{number}.example.org", f"agent-{number}", {"http": 31000})
        _move(manager, ids, S.STARTING)
        for turn in range(events - 3):  # the third and the last one follow
            _move(manager, ids, S.RUNNING if turn % 2 == 0 else S.PARTITIONED)
    before = replicas.counters()
    for each in ids:
        with replicas.store().begin() as connection:
            manager = StateManager(Stores(connection), scheduler="scheduler-1.example.org")
            manager.change_state(each, S.FINISHED)
    written = replicas.counters() - before
    assert written.transactions == len(ids)
    return {
        "measured": f"a change of status to FINISHED, {max(events, 3)} events before",
        "tasks": count,
        "bytes_each": round(written.bytes / written.transactions, 1),
    }


def _move(manager: StateManager, ids: list[str], status: ScheduleStatus) -> None:
    manager.change_states([StateChangeRequest(each, status) for each in ids])


def _memory(count: int) -> Row:
    """Pages of tasks that were assigned and started: three events, a host, a shared configuration.

    All pages that the tasks added count, also those of indexes and the free space in them.
    """
    _begin()
    before = replicas.store().status().pages
    ids = _insert(count)
    for first in range(0, count, 10_000):
        with replicas.store().begin() as connection:
            manager = StateManager(Stores(connection), scheduler="scheduler-1.example.org")
            batch = ids[first : first + 10_000]
            for number, each in enumerate(batch):
                host = number % 1000
                manager.assign(each, f"host-{host}.example.org", f"agent-{host}")
            _move(manager, batch, S.RUNNING)
    pages = replicas.store().status().pages - before
    return {
        "measured": "memory, with 3 events",
        "tasks": count,
        "bytes_each": round(pages * _PAGE_BYTES / count, 1),
    }
