"""Commits into the test double of the log: what the store itself costs, without disk or network."""

from __future__ import annotations

from benchmarks import replicas
from benchmarks.commits import ROWS
from benchmarks.processes import Process
from benchmarks.settings import Row, Settings, latency, spread
from benchmarks.threads import Taken, together


def run(settings: Settings) -> list[Row]:
    """A row for each interface and number of writers."""
    rows = []
    with Process() as process:
        process.call(replicas.open_store, "memory")
        process.call(replicas.lead_and_fill, ROWS)
        for interface in ("DB-API", "SQLAlchemy"):
            for writers in (1, 16):
                rounds: list[Taken] = []
                per_core: list[float] = []
                for _ in range(settings.rounds):
                    taken, processor, _ = process.call(
                        replicas.write_for, settings.round_s, writers, ROWS, interface
                    )
                    rounds.append(taken)
                    per_core.append(len(taken[0]) / processor)
                rows.append(
                    {
                        "interface": interface,
                        "writers": writers,
                        **latency(*together(rounds)),
                        "per_core_s": spread(per_core, 0),
                    }
                )
    return rows
