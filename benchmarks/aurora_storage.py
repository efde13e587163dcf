"""Aurora's storage benchmarks, beside maps of objects as Aurora has them (`aurora_maps`).

The store's times have everything in them: the transaction, and for what writes the commit to a
replicated log of one replica. The maps log nothing. The three take turns; `faster` is the ratio of
the maps with copies to the store, and `faster_than_shared` that of maps that hand out the objects
they keep, which Aurora's last releases did with immutable ones.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

from aurora_store.models import (
    JobKey,
    JobUpdateDetails,
    JobUpdateSummary,
    ScheduleStatus,
    StateChangeRequest,
    StateManager,
    Stores,
    TaskQuery,
    create_schema,
)
from benchmarks import aurora_values as values
from benchmarks import replicas
from benchmarks.aurora_maps import Maps
from benchmarks.settings import Row, Settings, spread

S = ScheduleStatus
_Way = Callable[[], Any]

_ENVIRONMENTS, _INSTANCES = 5, 40  # of each role
_LIMIT = 100
_STATUS_UPDATES = 1000


def run(settings: Settings) -> list[Row]:
    """A row for each benchmark and size."""
    rows: list[Row] = []
    with replicas.stores(settings.directory, 1) as ensemble:
        process = ensemble.processes[0]
        process.call(_begin)
        for part, sizes, quick in (
            (_fetches, (10_000, 50_000, 100_000), 500),
            (_comings_and_goings, (1000, 10_000, 50_000), 500),
            (_update_details, (1000, 5000, 10_000), 100),
            (_status_updates, (_STATUS_UPDATES,), 100),
            (_summaries, (100_000,), 2000),
        ):
            for size in (quick,) if settings.quick else sizes:
                # Copying 100,000 tasks takes the maps half a minute.
                rounds = 3 if size <= 5000 and not settings.quick else 1
                rows += process.call(part, size, rounds)
    return rows


def _begin() -> None:
    replicas.store().lead()
    with replicas.store().begin() as connection:
        create_schema(connection)


def _fetches(size: int, rounds: int) -> list[Row]:
    maps, shared = _filled(values.tasks(size, S.RUNNING))
    one = TaskQuery.instance_scoped(values.JOB, 0)
    rows = [
        _compare("fetch all", size, rounds, *_three(maps, shared, TaskQuery())),
        _compare("fetch one instance", size, rounds, *_three(maps, shared, one)),
    ]
    if size <= 10_000:  # one size will do: it is minutes for the maps
        rows.append(
            _compare(
                "fetch all, look at every event",
                size,
                rounds,
                _read(lambda stores: _events(stores.tasks.fetch_tasks(TaskQuery()))),
                lambda: _events(maps.fetch_tasks(TaskQuery())),
                lambda: _events(shared.fetch_tasks(TaskQuery())),
            )
        )
    _clear()
    return rows


def _comings_and_goings(size: int, rounds: int) -> list[Row]:
    taken: dict[str, list[tuple[float, ...]]] = {"insert pending": [], "delete": []}
    for turn in range(rounds):
        job = JobKey("jmh", "dev", f"job-{turn}")
        config = values.config(job)
        maps, shared = Maps(copies=True), Maps(copies=False)
        tasks = list(values.tasks(size, S.FINISHED, job))
        ids = frozenset(task.id for task in tasks)

        def insert(config: Any = config) -> None:
            with replicas.store().begin() as connection:
                StateManager(Stores(connection)).insert_pending(config, range(size))

        def pend(into: Maps, job: Any = job) -> None:
            into.save_tasks(values.tasks(size, S.PENDING, job))

        def delete(ids: Any = ids) -> None:
            with replicas.store().begin() as connection:
                StateManager(Stores(connection)).delete(ids)

        inserted = (_once(insert), *(_once(lambda m=m: pend(m)) for m in (maps, shared)))
        taken["insert pending"].append(inserted)
        _clear()
        with replicas.store().begin() as connection:
            Stores(connection).tasks.save(tasks)
        maps, shared = Maps(copies=True), Maps(copies=False)
        for each in (maps, shared):
            each.save_tasks(tasks)
        others = (_once(lambda m=m, i=ids: m.delete_tasks(i)) for m in (maps, shared))
        taken["delete"].append((_once(delete), *others))
    return [_row(name, size, times) for name, times in taken.items()]


def _update_details(size: int, rounds: int) -> list[Row]:
    rows = []
    for name, given, events in (
        ("update details, instance events", values.update("events"), size),
        ("update details, overrides", values.update("overrides", overrides=size // 10), 5000),
        ("update details, metadata", values.update("metadata", metadata=size), 5000),
    ):
        happened = values.instance_events(events)
        with replicas.store().begin() as connection:
            updates = Stores(connection).updates
            updates.save_update(given)
            updates.save_event(given.key, values.UPDATE_EVENT)
            updates.save_instance_events(given.key, happened)
        summary = JobUpdateSummary(given.key, "user", values.UPDATE_EVENT.status, 1, 1)
        details = JobUpdateDetails(given, summary, (values.UPDATE_EVENT,), tuple(happened))
        maps, shared = Maps(copies=True), Maps(copies=False)
        for each in (maps, shared):
            each.save_update(details)
        key = given.key
        rows.append(
            _compare(
                name,
                size // 10 if "overrides" in name else size,
                rounds,
                _read(lambda stores, key=key: _looked_at(stores.updates.fetch_update(key))),
                lambda maps=maps, key=key: maps.fetch_update(key),
                lambda shared=shared, key=key: shared.fetch_update(key),
            )
        )
    with replicas.store().begin() as connection:
        Stores(connection).updates.delete_all()
    return rows


def _status_updates(size: int, rounds: int) -> list[Row]:
    times = []
    for _ in range(rounds):
        maps, shared = _filled(tasks := list(values.tasks(size, S.STARTING)))
        requests = [StateChangeRequest(task.id, S.RUNNING) for task in tasks]

        def change(requests: Any = requests) -> None:
            with replicas.store().begin() as connection:
                StateManager(Stores(connection), scheduler="scheduler").change_states(requests)

        def change_maps(maps: Maps, requests: Any = requests) -> None:
            for request in requests:
                maps.change_state(request.task_id, request.status, 1_700_000_000_200)

        others = (_once(lambda m=m: change_maps(m)) for m in (maps, shared))
        times.append((_once(change), *others))
        _clear()
    return [_row("status updates, one batch", size, times)]


def _summaries(count: int, rounds: int) -> list[Row]:
    roles = count // (_ENVIRONMENTS * _INSTANCES)
    keys = [
        JobKey(f"role-{role}", f"env-{environment}", "job")
        for role in range(roles)
        for environment in range(_ENVIRONMENTS)
    ]
    maps, shared = _filled(
        task for key in keys for task in values.tasks(_INSTANCES, S.RUNNING, key)
    )
    some = TaskQuery(role="role-3", limit=_LIMIT)
    first = TaskQuery(limit=_LIMIT)

    def walked(of: Maps) -> _Way:
        return lambda: of.role_summaries(of.job_keys_by_walking())

    def usage(of: Maps) -> _Way:
        return lambda: of.role_usage("role-3")

    rows = [
        _compare(
            f"role summaries, {roles} roles",
            count,
            rounds,
            _read(lambda stores: stores.counts.roles()),
            walked(maps),
            walked(shared),
        ),
        _compare(
            f"role summaries, {roles} roles, from the index of jobs",
            count,
            rounds,
            _read(lambda stores: stores.counts.roles()),
            lambda: maps.role_summaries(maps.job_keys()),
            lambda: shared.role_summaries(shared.job_keys()),
        ),
        _compare(
            "usage of a role",
            count,
            rounds,
            _read(lambda stores: stores.counts.usage("role-3")),
            usage(maps),
            usage(shared),
        ),
        _compare(f"limit {_LIMIT} of a role", count, rounds, *_three(maps, shared, some)),
        _compare(f"limit {_LIMIT} of all", count, rounds, *_three(maps, shared, first)),
        _compare(
            f"job keys, {len(keys)}",
            count,
            rounds,
            _read(lambda stores: stores.tasks.job_keys()),
            maps.job_keys_by_walking,
            shared.job_keys_by_walking,
        ),
        _compare(
            f"job keys, {len(keys)}, from the index of jobs",
            count,
            rounds,
            _read(lambda stores: stores.tasks.job_keys()),
            maps.job_keys,
            shared.job_keys,
        ),
    ]
    _clear()
    return rows


# ---- measuring ----


def _filled(tasks: Iterable[Any]) -> tuple[Maps, Maps]:
    """The store has these tasks, and so have two maps: with copies, and without."""
    tasks = list(tasks)
    with replicas.store().begin() as connection:
        Stores(connection).tasks.save(tasks)
    maps, shared = Maps(copies=True), Maps(copies=False)
    for each in (maps, shared):
        each.save_tasks(tasks)
    return maps, shared


def _clear() -> None:
    with replicas.store().begin() as connection:
        Stores(connection).tasks.delete_all()


def _read(look: Callable[[Stores], Any]) -> _Way:
    def read() -> Any:
        with replicas.store().read() as connection:
            return look(Stores(connection))

    return read


def _three(maps: Maps, shared: Maps, query: TaskQuery) -> tuple[_Way, _Way, _Way]:
    return (
        _read(lambda stores: stores.tasks.fetch_tasks(query)),
        lambda: maps.fetch_tasks(query),
        lambda: shared.fetch_tasks(query),
    )


def _events(tasks: Iterable[Any]) -> int:
    return sum(event.time_ms for task in tasks for event in task.events)


def _looked_at(details: Any) -> Any:
    assert len(details.instance_events) > 0  # they are decoded by now
    return details


def _compare(name: str, size: int, rounds: int, *ways: _Way) -> Row:
    ways[0]()  # statements are compiled once
    # Otherwise whoever is measured when Python's collector runs has to wait until it has walked
    # through all that the maps keep.
    gc.collect()
    gc.freeze()
    try:
        return _row(name, size, [tuple(_timed(way) for way in ways) for _ in range(rounds)])
    finally:
        gc.unfreeze()


def _once(way: _Way) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin


def _timed(way: _Way) -> float:
    """The same of what changes nothing; it is repeated until the clock is fine enough."""
    begin, count = time.perf_counter(), 0
    while True:
        way()
        count += 1
        if (elapsed := time.perf_counter() - begin) > 0.02:
            return elapsed / count


def _row(name: str, size: int, times: list[tuple[float, ...]]) -> Row:
    store, maps, shared = (sorted(each)[len(times) // 2] for each in zip(*times, strict=True))
    return {
        "benchmark": name,
        "size": size,
        "store_ms": round(1e3 * store, 3),
        "maps_ms": round(1e3 * maps, 3),
        "shared_ms": round(1e3 * shared, 3),
        "faster": spread([each[1] / each[0] for each in times]),
        "faster_than_shared": spread([each[2] / each[0] for each in times]),
    }
