"""A real cluster's trace through the stores, on three replicas, with a failover in the middle."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import free_ports, spawn
from trace_worker import job_of

from aurora_store.demo import trace
from aurora_store.libmesos import fetch

_WORKER = Path(__file__).with_name("trace_worker.py")
# Beside the checkout, or one folder further out.
_PLACES = [place / "shared" / "data" / "openb" for place in [*Path(__file__).parents][3:5]]
_LIMIT_S = 300.0


def _expected(events: list[trace.Event]) -> dict[str, dict[str, int]]:
    """Tasks per role, environment, job and status, counted without a database."""
    status: dict[int, str] = {}
    for event in events:
        if event.kind == trace.CREATED:
            status[event.task.id] = "PENDING"
        elif event.kind == trace.SCHEDULED:
            status[event.task.id] = "RUNNING"
        elif status[event.task.id] == "PENDING":
            del status[event.task.id]  # killed before it ran: it is gone
        else:
            ends = {"Succeeded": "FINISHED", "Failed": "FAILED"}
            status[event.task.id] = ends.get(event.task.phase, "KILLED")
    tasks = {event.task.id: event.task for event in events}
    found: dict[str, Counter[str]] = {}
    for number, has in status.items():
        job = job_of(tasks[number])
        names = job.role, job.environment, job.name
        for depth in (1, 2, 3):
            found.setdefault("/".join(names[:depth]), Counter())[has] += 1
    return {scope: dict(counts) for scope, counts in found.items()}


def test_a_trace_is_counted_as_outside_the_database(stack: ExitStack, tmp_path: Path) -> None:
    directory = next((place for place in _PLACES if place.is_dir()), None)
    if directory is None:
        pytest.skip(f"the trace is not there: put cluster-trace-gpu-v2023 into {_PLACES[0]}")
    events = list(trace.read(directory).events)
    half = len(events) // 2
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    environment = {"AURORA_STORE_LIBMESOS": str(fetch())}
    replicas = [stack.enter_context(spawn(_WORKER, environment)) for _ in addresses]
    for number, replica in enumerate(replicas):
        replica.call(
            "open_store",
            directory=str(tmp_path / str(number)),
            address=addresses[number],
            peers=addresses,
            auto_initialize=True,
        )
    for pending in [replica.start("catch_up") for replica in replicas]:
        pending.result()
    replicas[0].call("lead")
    replicas[0].call("make_tables")
    replicas[0].call("replay", limit=_LIMIT_S, directory=str(directory), first=0, last=half)
    assert replicas[0].call("counted") == _expected(events[:half])
    replicas[0].kill()
    replicas[1].call("lead")
    assert replicas[1].call("counted") == _expected(events[:half])
    end = replicas[1].call(
        "replay", limit=_LIMIT_S, directory=str(directory), first=half, last=len(events)
    )
    replicas[2].call("wait_for", position=end)
    for replica in replicas[1:]:
        assert replica.call("counted") == replica.call("walked") == _expected(events)
