"""Opening a replica from its log, beside a log of rows that is read and inserted into SQLite."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from pysqlite3 import dbapi2

import aurora_store.dialect.base  # noqa: F401 - a store imports it late, and no import is measured
from aurora_store import Store, driver
from aurora_store.log import Log
from benchmarks import replicas, tasks
from benchmarks.memory import peak_mb
from benchmarks.processes import Process
from benchmarks.settings import Row, Settings, spread

_BATCH = 1000
_STOCK, _STORE = "log.read + INSERT", "store"
_LIMIT_S = 600.0


def run(settings: Settings) -> list[Row]:
    """Two rows for each size of the database: medians of rounds in which the two take turns."""
    sizes = [10_000]
    if not settings.quick:
        sizes.append(100_000)
    if settings.large:
        sizes.append(1_000_000)
    rows: list[Row] = []
    smaller: dict[str, Row] = {}
    for size in sizes:
        found = _measure(settings, size)
        for way, row in found.items():
            if way in smaller:
                row["peak_slope"] = _slope(smaller[way], row)
            rows.append({"tasks": size, "way": way, **row})
        smaller = found
    return rows


def _measure(settings: Settings, size: int) -> dict[str, Row]:
    parent = Path(mkdtemp(dir=settings.directory))
    ways: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        _STOCK: (_make_row_log, _read_row_log),
        _STORE: (_make_store, _open_store),
    }
    for way, (make, _) in ways.items():
        with Process() as process:
            process.call(make, str(parent / way), size)
    rounds: dict[str, list[Row]] = {way: [] for way in ways}
    for _ in range(1 if settings.quick else 3):
        for way, (_, load) in ways.items():
            with Process() as process:
                rounds[way].append(process.call(load, str(parent / way), size))
    return {way: _row(taken, rounds[_STOCK]) for way, taken in rounds.items()}


def _row(taken: list[Row], stock: list[Row]) -> Row:
    medians = {column: spread([each[column] for each in taken], 3)[1] for column in taken[0]}
    faster = [theirs["load_s"] / ours["load_s"] for theirs, ours in zip(stock, taken, strict=True)]
    return {
        "rounds": len(taken),
        **medians,
        "peak_added_to_database": round(medians["peak_added_mb"] / medians["database_mb"], 2),
        "faster_than_stock": spread(faster),
    }


def _slope(smaller: Row, larger: Row) -> float:
    """Megabytes of memory for each further one of the database: the constant drops out."""
    grown: float = larger["database_mb"] - smaller["database_mb"]
    added: float = larger["peak_added_mb"] - smaller["peak_added_mb"]
    return round(added / grown, 2)


def _make_store(directory: str, size: int) -> None:
    replicas.open_store(directory)
    replicas.store_ready()
    replicas.lead_and_fill(size)
    replicas.store().step_down()
    replicas.close()


def _make_row_log(directory: str, size: int) -> None:
    with Log.open(directory) as log:
        log.elect(timeout=30.0)
        for first in range(1, size + 1, _BATCH):
            batch = [tasks.row(number) for number in range(first, min(first + _BATCH, size + 1))]
            log.append(json.dumps(batch).encode())


def _open_store(directory: str, size: int) -> Row:
    before = peak_mb()
    begin = time.perf_counter()
    log = Log.open(directory)
    opened = time.perf_counter()
    store = Store(log)
    store.wait_caught_up(timeout=_LIMIT_S)
    store.lead(timeout=_LIMIT_S)
    end = time.perf_counter()
    peak = peak_mb()
    _check(driver.connect(store.name, read_only=True), size)
    return _taken(begin, opened, end, store.status().pages, before, peak)


def _read_row_log(directory: str, size: int) -> Row:
    before = peak_mb()
    begin = time.perf_counter()
    log = Log.open(directory)
    opened = time.perf_counter()
    beginning = log.beginning(timeout=_LIMIT_S)
    entries = log.read(beginning, log.ending(timeout=_LIMIT_S), timeout=_LIMIT_S)
    connection = dbapi2.connect(":memory:", isolation_level=None)
    connection.execute("BEGIN")
    for table in tasks.TABLES:
        connection.execute(table)
    for entry in entries:
        connection.executemany(tasks.INSERT_TASK, json.loads(entry.data))
    connection.commit()
    end = time.perf_counter()
    peak = peak_mb()
    _check(connection, size)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    return _taken(begin, opened, end, pages, before, peak)


def _check(connection: Any, size: int) -> None:
    found = connection.execute("SELECT count(*) FROM task").fetchone()[0]
    if found != size:
        raise AssertionError(f"{found} tasks instead of {size}")


def _taken(
    begin: float, opened: float, end: float, pages: int, before_mb: float, peak_mb: float
) -> Row:
    return {
        "database_mb": pages * 4096 / 1e6,
        "open_s": opened - begin,  # the library and the replica; alike for both
        "load_s": end - opened,
        "total_s": end - begin,
        "peak_mb": peak_mb,
        "peak_added_mb": peak_mb - before_mb,
    }
