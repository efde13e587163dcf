"""Takeover by a warm standby after the leader was killed. Noticing the death is not part of it."""

from __future__ import annotations

import time

from aurora_store import Store
from benchmarks import replicas, tasks
from benchmarks.raw_append import ENTRY_BYTES
from benchmarks.settings import Row, Settings, percentile, spread

_ROWS_10_MB = 40_000


def run(settings: Settings) -> list[Row]:
    """A row for each size of the database: the round whose total is the median."""
    sizes = [_ROWS_10_MB, *([100 * _ROWS_10_MB] if settings.large else [])]
    return [_measure(settings, rows) for rows in sizes]


def _measure(settings: Settings, rows: int) -> Row:
    """In each round another replica takes over, and the killed one comes back as a standby."""
    rounds: list[Row] = []
    with (
        replicas.logs(settings.directory, 3) as raw,
        replicas.stores(settings.directory, 3) as ensemble,
    ):
        leader = 0
        ensemble.processes[leader].call(replicas.lead_and_fill, rows)
        for _ in range(2 if settings.quick else 9):
            position = ensemble.processes[leader].call(_change_once)
            standby = (leader + 1) % 3
            for number in range(3):
                if number != leader:
                    ensemble.processes[number].call(_wait_for, position)
            ensemble.processes[standby].call(_warm_up)
            appends, _ = raw.processes[0].call(
                replicas.append_for, settings.round_s / 2, ENTRY_BYTES
            )
            ensemble.processes[leader].kill()
            taken = ensemble.processes[standby].call(_take_over, rows)
            rounds.append({**taken, "raw_p50_ms": percentile(appends, 0.5) * 1e3})
            ensemble.restart(leader)
            leader = standby
    median = sorted(rounds, key=lambda each: each["total_ms"])[(len(rounds) - 1) // 2]
    return {
        "tasks": rows,
        "rounds": len(rounds),
        **{column: round(value, 3) for column, value in median.items()},
        "longest_ms": round(max(each["total_ms"] for each in rounds), 3),
        "won_to_raw": spread([each["won_to_commit_ms"] / each["raw_p50_ms"] for each in rounds]),
    }


def _change_once() -> int:
    tasks.change(replicas.connect(), 1)
    return int(replicas.store().position)


def _warm_up() -> None:
    replicas.connect(read_only=True).execute(tasks.SELECT, (1,)).fetchone()


def _wait_for(position: int) -> None:
    replicas.store().wait_for(position, timeout=600.0)


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
        "won_to_commit_ms": (end - begin - timing.election_s) * 1e3,
        "total_ms": (end - begin) * 1e3,
    }
