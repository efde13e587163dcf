"""Other replicated systems, each measured where it is installed, in turns with the store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol

from benchmarks import replicas
from benchmarks.commits import ROWS
from benchmarks.rivals import etcd, postgresql, zxlite
from benchmarks.settings import Row, Settings, latency, spread
from benchmarks.threads import Taken, rate, together

_OURS = "aurora-store"


class Client(Protocol):
    """One way to write to a system."""

    system: str
    client: str  # what it is written in, and how it asks
    operation: str

    def write_for(self, seconds: float, writers: int) -> Taken:
        """Durable writes by so many writers at the same time."""


Starter = Callable[[Path, contextlib.ExitStack], list[Client]]
# What to install if it is missing, and how to start its servers.
RIVALS: dict[str, tuple[Callable[[], str], Starter]] = {
    "etcd": (etcd.missing, etcd.start),
    "PostgreSQL": (postgresql.missing, postgresql.start),
    "zxlite": (zxlite.missing, zxlite.start),
}


def run(settings: Settings) -> list[Row]:
    """A row for each system, client and number of writers.

    Three nodes of every system stay up all the time, on this machine and disk; one is measured at
    a time. What is missing or does not start has one row that says why.
    """
    clients: list[Client] = []
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        for name, (missing, start) in RIVALS.items():
            reason = missing()
            if not reason:
                try:
                    clients += start(Path(mkdtemp(dir=settings.directory)), stack)
                except (OSError, RuntimeError) as error:
                    reason = f"does not start: {_said(error)}"
            if reason:
                rows.append({"system": name, "left_out": reason})
        if clients:
            ensemble = stack.enter_context(replicas.stores(settings.directory, 3))
            ensemble.processes[0].call(replicas.lead_and_fill, ROWS)
            clients.insert(0, _Store(ensemble))
            for writers in (1, 64) if settings.quick else (1, 4, 16, 64):
                rows += _measure(settings, clients, writers)
    return rows


def _measure(settings: Settings, clients: list[Client], writers: int) -> list[Row]:
    """One that fails is left out from here on."""
    taken: dict[Client, list[Taken]] = {client: [] for client in clients}
    failed: list[Row] = []
    for _ in range(settings.rounds):
        for client in list(clients):
            try:
                taken[client].append(client.write_for(settings.round_s, writers))
            except (OSError, RuntimeError) as error:
                if client.system == _OURS:
                    raise
                reason = f"{client.client}, {writers} writers: {_said(error)}"
                failed.append({"system": client.system, "left_out": reason})
                clients.remove(client)
    ours = taken[clients[0]]
    return failed + [
        {
            "system": client.system,
            "client": client.client,
            "operation": client.operation,
            "writers": writers,
            **latency(*together(taken[client])),
            "store_to_it": spread(
                [rate(our) / rate(its) for our, its in zip(ours, taken[client], strict=True)]
            ),
        }
        for client in clients
    ]


def _said(error: Exception) -> str:
    """One line; of a traceback in another process, what was raised."""
    lines = str(error).splitlines()
    traced = [number for number, line in enumerate(lines) if line.startswith("  ")]
    return " ".join(" ".join(lines[max(traced, default=-1) + 1 :]).split())[:200]


class _Store:
    system = _OURS
    client = "Python threads"
    operation = "UPDATE + INSERT"

    def __init__(self, ensemble: replicas.Ensemble) -> None:
        self._leader = ensemble.processes[0]

    def write_for(self, seconds: float, writers: int) -> Taken:
        taken: Taken = self._leader.call(replicas.write_for, seconds, writers, ROWS, "DB-API")[0]
        return taken
