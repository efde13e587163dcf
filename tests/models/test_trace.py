"""A real cluster's trace through the stores, on three replicas, whose leader dies in the middle.

The database counts as one does outside it, and a subscriber hears of every change, in order.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from audience import Audience
from harness import WorkerDied, free_ports, spawn
from trace_worker import job_of

from aurora_store.demo import trace
from aurora_store.events import Event
from aurora_store.libmesos import fetch
from aurora_store.models import Change, TaskChanged, TaskDeleted

_WORKER = Path(__file__).with_name("trace_worker.py")
# Beside the checkout, or one folder further out.
_PLACES = [place / "shared" / "data" / "openb" for place in [*Path(__file__).parents][3:5]]
_LIMIT_S = 300.0
_ENDS = {"Succeeded": "FINISHED", "Failed": "FAILED"}


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
            status[event.task.id] = _ENDS.get(event.task.phase, "KILLED")
    tasks = {event.task.id: event.task for event in events}
    found: dict[str, Counter[str]] = {}
    for number, has in status.items():
        job = job_of(tasks[number])
        names = job.role, job.environment, job.name
        for depth in (1, 2, 3):
            found.setdefault("/".join(names[:depth]), Counter())[has] += 1
    return {scope: dict(counts) for scope, counts in found.items()}


def _changes(events: list[trace.Event]) -> Iterator[tuple[str, str | None, str | None]]:
    """What is to be heard: instance, status before, status; none of one that is new, or gone."""
    running: set[int] = set()
    for event in events:
        task = event.task
        runs = task.id in running
        if event.kind == trace.CREATED:
            steps = [None, "PENDING"]
        elif event.kind == trace.SCHEDULED:
            running.add(task.id)
            steps = ["PENDING", "ASSIGNED", "STARTING", "RUNNING"]
        elif not runs:
            steps = ["PENDING", None]
        elif task.phase in _ENDS:
            steps = ["RUNNING", _ENDS[task.phase]]
        else:
            steps = ["RUNNING", "KILLING", "KILLED"]
        for before, after in zip(steps, steps[1:], strict=False):
            yield f"{job_of(task)}/{task.id}", before, after


def _told(change: Change) -> tuple[str, str | None, str | None]:
    if isinstance(change, TaskDeleted):
        return str(change.key), change.status.name, None
    assert isinstance(change, TaskChanged)
    before = None if change.before is None else change.before.name
    return str(change.key), before, change.status.name


def _heard(path: Path) -> dict[int, Event]:
    """What a subscriber has written down; a line that it died over is not complete."""
    lines = path.read_text().splitlines(keepends=True)
    events = [Event(*json.loads(line)) for line in lines if line.endswith("\n")]
    found = {event.id: event for event in events}
    assert list(found) == sorted(found), "out of order"
    assert len(found) == len(events), "twice in a reign"
    return found


def _wait(look: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _LIMIT_S
    while not look():
        assert time.monotonic() < end, f"not within {_LIMIT_S:g} s: {what}"
        time.sleep(0.02)


def test_a_trace_is_counted_and_heard_as_it_happens(stack: ExitStack, tmp_path: Path) -> None:
    directory = next((place for place in _PLACES if place.is_dir()), None)
    if directory is None:
        pytest.skip(f"the trace is not there: put cluster-trace-gpu-v2023 into {_PLACES[0]}")
    events = list(trace.read(directory).events)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    environment = {"AURORA_STORE_LIBMESOS": str(fetch())}
    replicas = [stack.enter_context(spawn(_WORKER, environment)) for _ in addresses]
    heard = [tmp_path / f"heard-{number}" for number in range(len(replicas))]
    for number, replica in enumerate(replicas):
        replica.call(
            "open_store",
            directory=str(tmp_path / str(number)),
            address=addresses[number],
            peers=addresses,
            auto_initialize=True,
        )
        replica.call("subscribe", path=str(heard[number]))
    for pending in [replica.start("catch_up") for replica in replicas]:
        pending.result()
    first, second, third = replicas
    first.call("lead")
    second.call("wait_for", position=first.call("make_tables"))
    replaying = first.start("replay", directory=str(directory), first=0)
    _wait(lambda: second.call("replayed") >= len(events) // 2, "half of the trace is replayed")
    first.kill()
    with pytest.raises(WorkerDied):
        replaying.result()
    second.call("lead")
    done = second.call("replayed")
    assert len(events) // 2 <= done < len(events), "it died after the end"
    assert second.call("counted") == _expected(events[:done])
    end = second.call("replay", limit=_LIMIT_S, directory=str(directory), first=done)
    third.call("wait_for", position=end)
    for replica in (second, third):
        assert replica.call("counted") == replica.call("walked") == _expected(events)
    _wait(lambda: second.call("backlog") == 0, "all was heard")
    assert heard[2].read_text() == "", "a standby's subscriber heard"
    by_first, by_second = (_heard(path) for path in heard[:2])
    assert by_first
    assert by_second
    told = by_first | by_second
    changes = Audience().hear(told[number] for number in sorted(told))
    assert [_told(change) for change in changes] == list(_changes(events))
