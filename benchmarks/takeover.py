"""Takeover by a warm standby after the leader was killed. Noticing the death is not part of it."""

from __future__ import annotations

import statistics
import time

from aurora_store import Store
from benchmarks import raw_append, replicas, tasks
from benchmarks.settings import Row, Settings

_ROWS_10_MB = 36_000


def run(settings: Settings) -> list[Row]:
    """A row for each size of the database: medians of the rounds."""
    raw = raw_append.measure(settings, 3)
    sizes = [_ROWS_10_MB, *([100 * _ROWS_10_MB] if settings.large else [])]
    return [_measure(settings, rows, raw["p50_ms"]) for rows in sizes]


def _measure(settings: Settings, rows: int, raw_ms: float) -> Row:
    rounds: list[Row] = []
    with replicas.stores(settings.directory, 3) as ensemble:
        leader = 0
        ensemble.processes[leader].call(replicas.lead_and_fill, rows)
        for _ in range(2 if settings.quick else 7):
            position = ensemble.processes[leader].call(_change_once)
            standby = (leader + 1) % 3
            for number in range(3):
                if number != leader:
                    ensemble.processes[number].call(_wait_for, position)
            ensemble.processes[standby].call(_warm_up)
            ensemble.processes[leader].kill()
            rounds.append(ensemble.processes[standby].call(_take_over, rows))
            ensemble.restart(leader)
            leader = standby
    result = {
        column: round(statistics.median(each[column] for each in rounds), 3) for column in rounds[0]
    }
    longest = round(max(each["total_ms"] for each in rounds), 3)
    return {
        "tasks": rows,
        "rounds": len(rounds),
        **result,
        "longest_ms": longest,
        "raw_p50_ms": raw_ms,
        "total_to_raw": round(result["total_ms"] / raw_ms, 1),
    }


def _change_once() -> int:
    tasks.change(replicas.connect(), 1)
    return int(replicas.store().position)


def _warm_up() -> None:
    replicas.connect(read_only=True).execute(tasks.SELECT, (1,)).fetchone()


def _wait_for(position: int) -> None:
    replicas.store().wait_for(position, timeout=120.0)


def _take_over(rows: int) -> Row:
    store: Store = replicas.store()
    begin = time.perf_counter()
    timing = store.lead(timeout=60.0)
    led = time.perf_counter()
    connection = replicas.connect()
    tasks.change(connection, rows)
    end = time.perf_counter()
    return {
        "database_mb": store.status().pages * 4096 / 1e6,
        "election_ms": timing.election_s * 1e3,
        "catch_up_ms": timing.catch_up_s * 1e3,
        "leader_entry_ms": timing.leader_entry_s * 1e3,
        "lead_ms": (led - begin) * 1e3,
        "first_commit_ms": (end - led) * 1e3,
        "total_ms": (end - begin) * 1e3,
    }
