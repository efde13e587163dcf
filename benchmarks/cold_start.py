"""Opening a replica from its log, beside a log of rows that is read and inserted into SQLite."""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import mkdtemp

from pysqlite3 import dbapi2

from aurora_store.log import Log
from benchmarks import replicas, tasks
from benchmarks.processes import Process
from benchmarks.settings import Row, Settings

_BATCH = 1000


def run(settings: Settings) -> list[Row]:
    """Two rows for each size of the database."""
    sizes = [10_000]
    if not settings.quick:
        sizes.append(100_000)
    if settings.large:
        sizes.append(1_000_000)
    rows: list[Row] = []
    for size in sizes:
        parent = Path(mkdtemp(dir=settings.directory))
        for make in (_make_store, _make_row_log):
            with Process() as process:
                process.call(make, str(parent / make.__name__), size)
        with Process() as process:
            stock = process.call(_read_row_log, str(parent / _make_row_log.__name__), size)
        with Process() as process:
            ours = process.call(_open_store, str(parent / _make_store.__name__), size)
        for row in (stock, ours):
            ratio = round(row["load_s"] / stock["load_s"], 2)
            rows.append({"tasks": size, **row, "load_to_stock": ratio})
    return rows


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
    before = _peak_mb()
    begin = time.perf_counter()
    replicas.open_store(directory)
    opened = time.perf_counter()
    replicas.store().wait_caught_up(timeout=600.0)
    caught_up = time.perf_counter()
    peak = _peak_mb()
    connection = replicas.connect(read_only=True)
    early = connection.execute("SELECT count(*) FROM task").fetchone()[0]
    led_begin = time.perf_counter()
    replicas.store().lead(timeout=60.0)
    end = caught_up + time.perf_counter() - led_begin
    found = connection.execute("SELECT count(*) FROM task").fetchone()[0]
    if found != size:
        raise AssertionError(f"{found} tasks instead of {size} ({early} before leading)")
    return {
        **_row("store", opened - begin, end - opened, before, peak),
        "tasks_before_lead": early,
    }


def _read_row_log(directory: str, size: int) -> Row:
    before = _peak_mb()
    begin = time.perf_counter()
    log = Log.open(directory)
    opened = time.perf_counter()
    beginning = log.beginning(timeout=60.0)
    entries = log.read(beginning, log.ending(timeout=60.0), timeout=600.0)
    connection = dbapi2.connect(":memory:", isolation_level=None)
    connection.execute("BEGIN")
    for table in tasks.TABLES:
        connection.execute(table)
    for entry in entries:
        connection.executemany(tasks.INSERT_TASK, json.loads(entry.data))
    connection.commit()
    end = time.perf_counter()
    peak = _peak_mb()
    found = connection.execute("SELECT count(*) FROM task").fetchone()[0]
    if found != size:
        raise AssertionError(f"{found} tasks instead of {size}")
    return _row("log.read + INSERT", opened - begin, end - opened, before, peak)


def _row(way: str, open_s: float, load_s: float, before_mb: float, peak_mb: float) -> Row:
    return {
        "way": way,
        "open_s": round(open_s, 3),  # the library and the replica; alike for both
        "load_s": round(load_s, 3),
        "total_s": round(open_s + load_s, 3),
        "peak_mb": round(peak_mb, 1),
        "peak_added_mb": round(peak_mb - before_mb, 1),
    }


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("the kernel does not tell the peak of memory")
