"""Bytes that a transaction takes in the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks import replicas, tasks
from benchmarks.settings import Row, Settings


def run(settings: Settings) -> list[Row]:
    """A row for each kind of transaction; a writer alone, so an entry for each transaction."""
    size = 10_000 if settings.quick else 100_000
    with replicas.stores(settings.directory, 1, heartbeat=0) as ensemble:
        leader = ensemble.processes[0]
        leader.call(replicas.lead_and_fill, size)
        return [
            leader.call(_measure, settings.case_s, size, kind, change)
            for kind, change in (
                ("status (another length) + event", tasks.change),
                ("time (same length) + event", _change_time),
            )
        ]


def _measure(seconds: float, size: int, kind: str, change: Callable[[Any, int], None]) -> Row:
    connection, pick = replicas.connect(), tasks.picker(1, size)
    change(connection, pick())
    before = replicas.counters()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        change(connection, pick())
    written = replicas.counters() - before
    per_transaction = written.bytes / written.transactions
    return {
        "tasks": size,
        "change": kind,
        "transactions": written.transactions,
        "log_bytes": written.bytes,
        "bytes_per_transaction": round(per_transaction, 1),
        "ratio_to_page": round(per_transaction / 4096, 3),
    }


def _change_time(connection: Any, task: int) -> None:
    at = tasks.now_ms()
    connection.begin()
    connection.execute(tasks.UPDATE_TIME, (at, task))
    connection.execute(tasks.INSERT, (task, at, "RUNNING"))
    connection.commit()
