"""The log alone: one append after the other, with our worker threads and the stock ones."""

from __future__ import annotations

from benchmarks import replicas
from benchmarks.settings import Row, Settings, latency, percentile, spread
from benchmarks.threads import Taken, together

ENTRY_BYTES = 300
STOCK_THREADS = 8


def run(settings: Settings) -> list[Row]:
    """A row for each number of replicas and of worker threads; the two take turns."""
    rows = []
    for count in (1, 3):
        taken: dict[str, list[Taken]] = {f"{STOCK_THREADS} (stock)": [], "default": []}
        with (
            replicas.logs(settings.directory, count, worker_threads=STOCK_THREADS) as stock,
            replicas.logs(settings.directory, count) as ours,
        ):
            for _ in range(settings.rounds):
                for rounds, ensemble in zip(taken.values(), (stock, ours), strict=True):
                    leader = ensemble.processes[0]
                    rounds.append(leader.call(replicas.append_for, settings.round_s, ENTRY_BYTES))
        base = next(iter(taken.values()))
        for threads, rounds in taken.items():
            rows.append(
                {
                    "replicas": count,
                    "worker_threads": threads,
                    **latency(*together(rounds)),
                    "faster_than_stock": spread(
                        [
                            percentile(stock[0], 0.5) / percentile(ours[0], 0.5)
                            for stock, ours in zip(base, rounds, strict=True)
                        ]
                    ),
                }
            )
    return rows
