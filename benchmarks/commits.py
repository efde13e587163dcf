"""Commits through a store, by the number of writers, beside raw appends of the same run."""

from __future__ import annotations

from benchmarks import raw_append, replicas
from benchmarks.settings import Row, Settings, latency

ROWS = 10_000
_RAW_SHARE = 0.4  # of the time of a case
_CASES = (
    ("DB-API", 1),
    ("DB-API", 4),
    ("DB-API", 16),
    ("DB-API", 64),
    ("SQLAlchemy", 1),
    ("SQLAlchemy", 64),
)


def run(settings: Settings) -> list[Row]:
    """A row for each number of replicas, interface and number of writers.

    Raw appends are measured before every case, on a log that is idle otherwise, so that what else
    the machine does slows both.
    """
    rows = []
    for count in (1, 3):
        with (
            replicas.logs(settings.directory, count) as raw_ensemble,
            replicas.stores(settings.directory, count) as ensemble,
        ):
            leader = ensemble.processes[0]
            leader.call(replicas.lead_and_fill, ROWS)
            for interface, writers in _CASES:
                appends = raw_ensemble.processes[0].call(
                    raw_append.append_for, settings.case_s * _RAW_SHARE
                )
                commits = leader.call(replicas.write_for, settings.case_s, writers, ROWS, interface)
                raw, row = latency(*appends), latency(*commits)
                rows.append(
                    {
                        "replicas": count,
                        "interface": interface,
                        "writers": writers,
                        **row,
                        "raw_p50_ms": raw["p50_ms"],
                        "raw_per_s": raw["per_s"],
                        "p50_to_raw": round(row["p50_ms"] / raw["p50_ms"], 2),
                        "rate_to_raw": round(row["per_s"] / raw["per_s"], 2),
                    }
                )
    return rows
