"""Reads by primary key, beside an in-memory database of SQLite's own through plain pysqlite3."""

from __future__ import annotations

import time
from typing import Any

from pysqlite3 import dbapi2

from benchmarks import replicas, tasks
from benchmarks.commits import ROWS
from benchmarks.settings import Row, Settings, percentile, spread
from benchmarks.threads import Taken, rate, together

_BLOCKS = 20  # the two take turns, so that a busy machine slows both


def run(settings: Settings) -> list[Row]:
    """Two rows each for statements by themselves and for statements in one transaction."""
    with replicas.stores(settings.directory, 1) as ensemble:
        process = ensemble.processes[0]
        process.call(replicas.lead_and_fill, ROWS)
        rows: list[Row] = process.call(_measure, settings.case_s)
    return rows


def _measure(seconds: float) -> list[Row]:
    ours = replicas.connect(read_only=True)
    plain = dbapi2.connect(":memory:", isolation_level=None, cached_statements=256)
    _fill(plain)
    rows: list[Row] = []
    for within in (False, True):
        taken: dict[str, list[Taken]] = {"pysqlite3 :memory:": [], "store": []}
        for block in range(_BLOCKS):
            for blocks, connection in zip(taken.values(), (plain, ours), strict=True):
                blocks.append(_read(connection, within, seconds / _BLOCKS, block))
        base = taken["pysqlite3 :memory:"]
        for name, blocks in taken.items():
            values, elapsed = together(blocks)
            rows.append(
                {
                    "transaction": "one for all" if within else "each its own",
                    "database": name,
                    "count": len(values),
                    "per_s": round(len(values) / elapsed, 1),
                    "p50_us": round(percentile(values, 0.50) * 1e6, 2),
                    "p99_us": round(percentile(values, 0.99) * 1e6, 2),
                    "rate_to_plain": spread(
                        [rate(each) / rate(least) for each, least in zip(blocks, base, strict=True)]
                    ),
                }
            )
    return rows


def _fill(connection: Any) -> None:
    tasks.fill(connection, ROWS)


def _read(connection: Any, within: bool, seconds: float, seed: int) -> Taken:
    durations: list[float] = []
    pick = tasks.picker(seed, ROWS)
    cursor = connection.cursor()
    if within:
        connection.execute("BEGIN")
    first = time.perf_counter()
    while time.perf_counter() < first + seconds:
        task = pick()
        begin = time.perf_counter()
        found = cursor.execute(tasks.SELECT, (task,)).fetchone()
        durations.append(time.perf_counter() - begin)
        assert found is not None
    elapsed = time.perf_counter() - first
    if within:
        connection.rollback()
    return durations, elapsed
