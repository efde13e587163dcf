"""The log alone: appends of 300 bytes, one after the other, with our threads and the stock ones."""

from __future__ import annotations

import os
import time

from benchmarks import replicas
from benchmarks.settings import Row, Settings, latency

ENTRY_BYTES = 300
STOCK_THREADS = 8


def run(settings: Settings) -> list[Row]:
    """A row for each number of replicas and of worker threads."""
    rows = []
    for count in (1, 3):
        stock = measure(settings, count, worker_threads=STOCK_THREADS)
        ours = measure(settings, count)
        for threads, row in ((f"{STOCK_THREADS} (stock)", stock), ("default", ours)):
            ratio = round(row["p50_ms"] / stock["p50_ms"], 2)
            rows.append(
                {"replicas": count, "worker_threads": threads, **row, "p50_to_stock": ratio}
            )
    return rows


def measure(settings: Settings, count: int, *, worker_threads: int = 0) -> Row:
    """Latency of an append to a log of `count` replicas, whose only load it is."""
    with replicas.logs(settings.directory, count, worker_threads=worker_threads) as ensemble:
        return latency(*ensemble.processes[0].call(append_for, settings.case_s))


def append_for(seconds: float) -> tuple[list[float], float]:
    """Of a process that has a log: how long each append took, and all of them."""
    log = replicas.log()
    log.elect(timeout=30.0)
    data = os.urandom(ENTRY_BYTES)
    for _ in range(20):
        log.append(data)
    durations: list[float] = []
    first = time.perf_counter()
    while (begin := time.perf_counter()) < first + seconds:
        log.append(data)
        durations.append(time.perf_counter() - begin)
    return durations, time.perf_counter() - first
