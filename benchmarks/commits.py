"""Commits through a store, by the number of writers, beside raw appends of the same run."""

from __future__ import annotations

from benchmarks import raw_append, replicas
from benchmarks.settings import Row, Settings, latency

ROWS = 10_000
_CASES = (
    ("DB-API", 1),
    ("DB-API", 4),
    ("DB-API", 16),
    ("DB-API", 64),
    ("SQLAlchemy", 1),
    ("SQLAlchemy", 64),
)


def run(settings: Settings) -> list[Row]:
    """A row for each number of replicas, interface and number of writers."""
    rows = []
    for count in (1, 3):
        raw = raw_append.measure(settings, count)
        rows.append({"replicas": count, "interface": "raw append", "writers": 1, **raw})
        with replicas.stores(settings.directory, count) as ensemble:
            leader = ensemble.processes[0]
            leader.call(replicas.lead_and_fill, ROWS)
            for interface, writers in _CASES:
                taken = leader.call(replicas.write_for, settings.case_s, writers, ROWS, interface)
                row = latency(*taken)
                rows.append({"replicas": count, "interface": interface, "writers": writers, **row})
        for row in rows:
            if row["replicas"] == count:
                row["p50_to_raw"] = round(row["p50_ms"] / raw["p50_ms"], 2)
                row["rate_to_raw"] = round(row["per_s"] / raw["per_s"], 2)
    return rows
