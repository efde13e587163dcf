"""One replica in a process of its own, and a scheduler that drives a trace through its stores."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aurora_store import Store
from aurora_store.demo import trace
from aurora_store.events import Event, Events
from aurora_store.models import (
    JobKey,
    Resources,
    ScheduleStatus,
    StateChange,
    StateChangeResult,
    StateManager,
    Stores,
    TaskConfig,
    TaskQuery,
    create_schema,
)

S = ScheduleStatus
_BATCH = 200
_REPLAYED = "replayed"

_store: Store | None = None


def _opened() -> Store:
    assert _store is not None
    return _store


def job_of(task: trace.Task) -> JobKey:
    """Tasks of one quality of service and size of GPU are one job."""
    return JobKey(task.qos.lower(), "prod", f"gpu-{task.gpu_milli}")


def open_store(directory: str, **options: Any) -> None:
    global _store
    _store = Store.open(directory, **options)


def catch_up() -> None:
    _opened().wait_caught_up()


def lead() -> None:
    _opened().lead()


def wait_for(position: int) -> None:
    _opened().wait_for(position)


def make_tables() -> int:
    with _opened().begin() as connection:
        create_schema(connection)
        Events(_opened()).add_subscriber(connection, "audience")
    return int(_opened().position)


def subscribe(path: str) -> None:
    """Has a file keep what is heard, also if this process is killed."""
    file = Path(path).open("a", buffering=1)  # noqa: SIM115  (as long as the process)

    def handle(events: Sequence[Event]) -> None:
        for event in events:
            file.write(json.dumps([event.id, event.topic, event.body]) + "\n")

    Events(_opened()).subscribe("audience", handle)


def backlog() -> int:
    return Events(_opened()).backlog()["audience"]


def replay(directory: str, first: int) -> int:
    """A trace from event `first` on, many to a transaction; returns the position after it."""
    found = trace.read(Path(directory))
    for begin in range(first, len(found.events), _BATCH):
        with _opened().begin() as connection:
            stores = Stores(connection)
            some = found.events[begin : begin + _BATCH]
            for event in some:
                _apply(stores, event, found)
            stores.scheduler.save_metadata({_REPLAYED: str(begin + len(some))})
    return int(_opened().position)


def replayed() -> int:
    """How many events of the trace are in the database."""
    with _opened().read() as connection:
        return int(Stores(connection).scheduler.fetch_metadata().get(_REPLAYED, 0))


def _apply(stores: Stores, event: trace.Event, found: trace.Trace) -> None:
    task, manager = event.task, StateManager(stores, clock=lambda: 1000 * event.time)
    job = job_of(task)
    if event.kind == trace.CREATED:
        resources = Resources(task.cpu_milli / 1000, task.memory_mib, 0, -(-task.gpu_milli // 1000))
        manager.insert_pending(TaskConfig(job, "trace", resources), [task.id])
        return
    (there,) = stores.tasks.fetch_tasks(TaskQuery.instance_scoped(job, task.id))
    if event.kind == trace.SCHEDULED:
        host = found.hosts[task.id % len(found.hosts)].name
        _succeeds(manager.assign(there.id, host, f"agent-{host}"))
        _succeeds(manager.change_state(there.id, S.STARTING, expected=S.ASSIGNED))
        _succeeds(manager.change_state(there.id, S.RUNNING, expected=S.STARTING))
    elif there.status is S.RUNNING and task.phase in ("Succeeded", "Failed"):
        _succeeds(
            manager.change_state(there.id, S.FINISHED if task.phase == "Succeeded" else S.FAILED)
        )
    else:
        _succeeds(manager.change_state(there.id, S.KILLING))
        if there.status is S.RUNNING:
            _succeeds(manager.change_state(there.id, S.KILLED))


def _succeeds(change: StateChange) -> None:
    assert change.result is StateChangeResult.SUCCESS, change


def counted() -> dict[str, dict[str, int]]:
    """What the database has counted: role, environment or job -> status -> tasks."""
    found: dict[str, dict[str, int]] = {}
    with _opened().read() as connection:
        stores = Stores(connection)
        for key in stores.tasks.job_keys():
            names = key.role, key.environment, key.name
            for depth in (1, 2, 3):
                tasks = stores.counts.tasks(*names[:depth])
                found["/".join(names[:depth])] = {each.name: tasks[each] for each in tasks}
    return found


def walked() -> dict[str, dict[str, int]]:
    """The same from all tasks."""
    found: dict[str, Counter[str]] = {}
    with _opened().read() as connection:
        for task in Stores(connection).tasks.fetch_tasks(TaskQuery()):
            names = task.job.role, task.job.environment, task.job.name
            for depth in (1, 2, 3):
                found.setdefault("/".join(names[:depth]), Counter())[task.status.name] += 1
    return {scope: dict(tasks) for scope, tasks in found.items()}
