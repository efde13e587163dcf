"""Commits through a store, by the number of writers, beside raw appends of the same run."""

from __future__ import annotations

from benchmarks import replicas
from benchmarks.processes import Process
from benchmarks.raw_append import ENTRY_BYTES, STOCK_THREADS
from benchmarks.settings import Row, Settings, latency, percentile, spread
from benchmarks.threads import Taken, rate, together

ROWS = 10_000
_CASES = (
    ("DB-API", 1),
    ("DB-API", 4),
    ("DB-API", 16),
    ("DB-API", 64),
    ("SQLAlchemy", 1),
    ("SQLAlchemy", 64),
)
_QUICK_CASES = (("DB-API", 1), ("DB-API", 64))


def run(settings: Settings) -> list[Row]:
    """A row for each number of replicas, interface and number of writers.

    In every round the store's commits, raw appends under the same settings and raw appends under
    the stock ones take turns. An append has as many bytes as an entry of one writer in that round;
    with several writers, whose entries are larger, as many as the last one.
    """
    rows = []
    for count in (1, 3):
        with (
            replicas.logs(settings.directory, count) as raw,
            replicas.logs(settings.directory, count, worker_threads=STOCK_THREADS) as stock,
            replicas.stores(settings.directory, count) as ensemble,
        ):
            leader = ensemble.processes[0]
            leader.call(replicas.lead_and_fill, ROWS)
            size = ENTRY_BYTES
            for interface, writers in _QUICK_CASES if settings.quick else _CASES:
                size, row = _measure(
                    settings,
                    (leader, raw.processes[0], stock.processes[0]),
                    interface,
                    writers,
                    size,
                )
                rows.append({"replicas": count, "interface": interface, "writers": writers, **row})
    return rows


def _measure(
    settings: Settings,
    processes: tuple[Process, Process, Process],
    interface: str,
    writers: int,
    size: int,
) -> tuple[int, Row]:
    store, raw, stock = processes
    commits: list[Taken] = []
    appends: list[Taken] = []
    stock_appends: list[Taken] = []
    for _ in range(settings.rounds):
        taken, _, written = store.call(
            replicas.write_for, settings.round_s, writers, ROWS, interface
        )
        if writers == 1:
            size = round(written.bytes / written.appends)
        commits.append(taken)
        appends.append(raw.call(replicas.append_for, settings.round_s / 2, size))
        stock_appends.append(stock.call(replicas.append_for, settings.round_s / 2, size))
    beside, stock_row = latency(*together(appends)), latency(*together(stock_appends))
    slower = [
        percentile(ours[0], 0.5) / percentile(theirs[0], 0.5)
        for ours, theirs in zip(commits, appends, strict=True)
    ]
    faster = [
        rate(ours) / rate(theirs) for ours, theirs in zip(commits, stock_appends, strict=True)
    ]
    return size, {
        **latency(*together(commits)),
        "raw_bytes": size,
        "raw_p50_ms": beside["p50_ms"],
        "stock_per_s": stock_row["per_s"],
        "p50_to_raw": spread(slower),
        "rate_to_stock": spread(faster),
    }
