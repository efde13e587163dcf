"""Every change of the model is told, whoever makes it, and nothing else is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from memory_stores import MemoryEnsemble
from samples import JOB, OTHER_JOB, S, config, task, update
from sqlalchemy import Connection, text
from sqlalchemy import update as update_rows

from aurora_store import Store
from aurora_store.errors import FormatTooNew
from aurora_store.events import REVISIONS as EVENT_REVISIONS
from aurora_store.events import Event, Events
from aurora_store.migrations import Schema
from aurora_store.models import (
    REVISIONS,
    Assignment,
    Attribute,
    Change,
    CountSlaPolicy,
    CronJobChanged,
    CronJobRemoved,
    HostAttributes,
    HostChanged,
    HostMaintenanceRequest,
    HostRemoved,
    JobConfiguration,
    JobInstanceUpdateEvent,
    JobUpdateAction,
    JobUpdateEvent,
    JobUpdateStatus,
    MaintenanceChanged,
    MaintenanceMode,
    MaintenanceRemoved,
    Quota,
    QuotaChanged,
    QuotaRemoved,
    SlaPolicy,
    StateChangeRequest,
    StateManager,
    Stores,
    TaskChanged,
    TaskDeleted,
    TaskEvent,
    TaskHistory,
    UpdateChanged,
    UpdateInstanceChanged,
    UpdateRemoved,
    change,
    create_schema,
    initial_changes,
    prune_tasks,
    tables,
)

U = JobUpdateStatus
LIMIT_S = 30.0
Told = Callable[[], list[Change | None]]


@pytest.fixture
def told(libmesos_store: Store, stores: Stores) -> Told:
    """What `stores` has told since the last call, to somebody who subscribed."""
    events, cursor = Events(libmesos_store), 0
    events.add_subscriber(stores.connection, "test")

    def since() -> list[Change | None]:
        nonlocal cursor
        found = events.read(stores.connection, after=cursor)
        cursor = found[-1].id if found else cursor
        return [change(each) for each in found]

    return since


def opened(ensemble: MemoryEnsemble, name: str = "one") -> Store:
    """A store that leads, with somebody who subscribed."""
    store = ensemble.open(name)
    store.lead()
    with store.begin() as connection:
        create_schema(connection)
        Events(store).add_subscriber(connection, "test")
    return store


def published(store: Store) -> list[Change | None]:
    with store.read() as connection:
        return [change(each) for each in Events(store).read(connection, after=0)]


# ---- tasks ----


def test_new_tasks_are_told_in_the_order_in_which_they_are_made(stores: Stores, told: Told) -> None:
    first, second = StateManager(stores).insert_pending(config(), [3, 1])
    assert told() == [
        TaskChanged(first, JOB, 3, None, S.PENDING, None),
        TaskChanged(second, JOB, 1, None, S.PENDING, None),
    ]


def test_who_hears_that_a_task_is_assigned_hears_where(stores: Stores, told: Told) -> None:
    manager = StateManager(stores)
    (name,) = manager.insert_pending(config(), [0])
    told()
    manager.assign(name, "host-1", "agent-1", {"http": 80})
    manager.change_state(name, S.RUNNING)
    assert told() == [
        TaskChanged(name, JOB, 0, S.PENDING, S.ASSIGNED, "host-1"),
        TaskChanged(name, JOB, 0, S.ASSIGNED, S.RUNNING, "host-1"),
    ]


def test_an_assignment_that_is_refused_tells_nothing_and_places_nothing(
    stores: Stores, told: Told
) -> None:
    placed = task("t", S.RUNNING, assignment=Assignment("agent-1", "host-1", {"http": 80}))
    stores.tasks.save([placed])
    told()
    StateManager(stores).assign("t", "host-2", "agent-2", {"http": 81})
    StateManager(stores).assign("absent", "host-2", "agent-2")
    assert stores.tasks.fetch("t") == placed
    assert told() == []


def test_a_successor_is_told_after_what_it_replaces(stores: Stores, told: Told) -> None:
    stores.tasks.save([task("t", S.RUNNING, config=config(is_service=True), instance=2)])
    told()
    successor = StateManager(stores).change_state("t", S.LOST).successor
    assert successor is not None
    assert told() == [
        TaskChanged("t", JOB, 2, S.RUNNING, S.LOST, None),
        TaskChanged(successor, JOB, 2, None, S.PENDING, None),
    ]


def test_changes_of_one_call_are_told_one_after_the_other(stores: Stores, told: Told) -> None:
    stores.tasks.save([task("a", S.ASSIGNED), task("b", S.ASSIGNED)])
    told()
    wishes = [("a", S.STARTING), ("b", S.STARTING), ("a", S.RUNNING), ("b", S.PENDING)]
    StateManager(stores).change_states([StateChangeRequest(*wish) for wish in wishes])
    assert told() == [  # the last one is illegal
        TaskChanged("a", JOB, 0, S.ASSIGNED, S.STARTING, None),
        TaskChanged("b", JOB, 0, S.ASSIGNED, S.STARTING, None),
        TaskChanged("a", JOB, 0, S.STARTING, S.RUNNING, None),
    ]


def test_a_deleted_task_is_told_of_though_its_job_and_agent_go_with_it(
    stores: Stores, told: Told
) -> None:
    stores.tasks.save([task("t", S.FAILED, assignment=Assignment("agent-1", "host-1"))])
    told()
    stores.tasks.delete(["t", "absent"])
    assert stores.counts.roles() == []
    (deleted,) = told()
    assert deleted == TaskDeleted("t", JOB, 0, S.FAILED, "host-1")
    assert isinstance(deleted, TaskDeleted)
    assert str(deleted.key) == f"{JOB}/0"


def test_killing_a_task_that_waits_tells_its_deletion(stores: Stores, told: Told) -> None:
    (name,) = StateManager(stores).insert_pending(config(), [0])
    told()
    StateManager(stores).change_state(name, S.KILLING)
    assert told() == [TaskDeleted(name, JOB, 0, S.PENDING, None)]


def test_saving_a_task_tells_only_a_status_that_is_another_one(stores: Stores, told: Told) -> None:
    stores.tasks.save([task("t", S.RUNNING)])
    told()
    stores.tasks.save([task("t", S.RUNNING, failures=3)])
    assert told() == []
    ended = TaskEvent(2000, S.FINISHED)
    stores.tasks.mutate("t", lambda t: replace(t, status=S.FINISHED, events=(*t.events, ended)))
    assert told() == [TaskChanged("t", JOB, 0, S.RUNNING, S.FINISHED, None)]


def test_pruning_tells_each_task_that_goes(stores: Stores, told: Told) -> None:
    stores.tasks.save([task(name, S.FINISHED) for name in ("a", "b", "c")])
    told()
    prune_tasks(stores.connection, TaskHistory(max_age_ms=0), 5000, 2)
    assert [type(each) for each in told()] == [TaskDeleted, TaskDeleted]
    stores.tasks.delete_all()
    assert [type(each) for each in told()] == [TaskDeleted]


def test_it_is_told_whoever_writes(stores: Stores, told: Told) -> None:
    stores.tasks.save([task("t", S.RUNNING)])
    told()
    stores.connection.execute(update_rows(tables.TaskRow).values(status=S.LOST))
    stores.connection.execute(text("DELETE FROM task"))
    assert told() == [
        TaskChanged("t", JOB, 0, S.RUNNING, S.LOST, None),
        TaskDeleted("t", JOB, 0, S.LOST, None),
    ]


# ---- updates ----


def test_each_event_of_an_update_is_told_with_the_status_before(stores: Stores, told: Told) -> None:
    given = update("u")
    stores.updates.save_update(given)
    assert told() == []
    for number, status in enumerate((U.ROLLING_FORWARD, U.ROLLING_FORWARD, U.ERROR)):
        stores.updates.save_event(given.key, JobUpdateEvent(status, number))
    assert told() == [
        UpdateChanged(given.key, None, U.ROLLING_FORWARD),
        UpdateChanged(given.key, U.ROLLING_FORWARD, U.ROLLING_FORWARD),
        UpdateChanged(given.key, U.ROLLING_FORWARD, U.ERROR),
    ]


def test_what_an_update_does_to_an_instance_is_told(stores: Stores, told: Told) -> None:
    given = update("u")
    stores.updates.save_update(given)
    actions = [JobUpdateAction.INSTANCE_UPDATING, JobUpdateAction.INSTANCE_UPDATED]
    stores.updates.save_instance_events(
        given.key, [JobInstanceUpdateEvent(7, 1, action) for action in actions]
    )
    assert told() == [UpdateInstanceChanged(given.key, 7, action) for action in actions]


def test_a_removed_update_is_told_of_once_whatever_it_had(stores: Stores, told: Told) -> None:
    given, other = update("u"), update("v", OTHER_JOB)
    for each in (given, other):
        stores.updates.save_update(each)
        stores.updates.save_event(each.key, JobUpdateEvent(U.ERROR, 1))
    told()
    stores.updates.remove_updates([given.key])
    assert told() == [UpdateRemoved(given.key)]
    stores.updates.delete_all()
    assert told() == [UpdateRemoved(other.key)]


# ---- the rest ----


def test_a_cron_job_is_told_of_when_it_changes(stores: Stores, told: Told) -> None:
    job = JobConfiguration(JOB, "alice", config(), 1, "* * * * *")
    stores.crons.save_accepted_job(job)
    assert told() == [CronJobChanged(JOB)]
    stores.crons.save_accepted_job(job)
    assert told() == []
    stores.crons.save_accepted_job(replace(job, cron_schedule=None))
    assert told() == [CronJobChanged(JOB)]
    stores.crons.remove_job(JOB)
    stores.crons.remove_job(JOB)
    assert told() == [CronJobRemoved(JOB)]


def test_a_quota_is_told_of_when_it_changes(stores: Stores, told: Told) -> None:
    stores.quotas.save("www-data", Quota(1, 2, 3))
    stores.quotas.save("www-data", Quota(1, 2, 3))
    assert told() == [QuotaChanged("www-data")]
    stores.quotas.save("www-data", Quota(1, 2, 4))
    assert told() == [QuotaChanged("www-data")]
    stores.quotas.remove("www-data")
    assert told() == [QuotaRemoved("www-data")]


def test_a_host_is_told_of_with_its_mode_before_and_after(stores: Stores, told: Told) -> None:
    none, draining = MaintenanceMode.NONE, MaintenanceMode.DRAINING
    first = HostAttributes("agent-1", "host-1")
    racked = replace(first, attributes=frozenset({Attribute("rack", frozenset({"a"}))}))
    for each in (first, first, racked, replace(racked, mode=draining)):
        stores.attributes.save(each)
    stores.attributes.remove(["agent-1", "absent"])
    assert told() == [
        HostChanged("agent-1", "host-1", None, none),
        HostChanged("agent-1", "host-1", none, none),
        HostChanged("agent-1", "host-1", none, draining),
        HostRemoved("agent-1", "host-1", draining),
    ]


def test_maintenance_is_told_of_when_it_changes(stores: Stores, told: Told) -> None:
    request = HostMaintenanceRequest("host-1", SlaPolicy(count=CountSlaPolicy(1, 2)), 3, 4)
    stores.maintenance.save(request)
    stores.maintenance.save(request)
    assert told() == [MaintenanceChanged("host-1")]
    stores.maintenance.save(replace(request, timeout_secs=5))
    assert told() == [MaintenanceChanged("host-1")]
    stores.maintenance.remove("host-1")
    assert told() == [MaintenanceRemoved("host-1")]


# ---- what is not told ----


def test_nothing_is_written_while_nobody_subscribes(libmesos_store: Store, stores: Stores) -> None:
    given = update("u")
    stores.tasks.save([task("t", S.RUNNING)])
    StateManager(stores).change_state("t", S.FINISHED)
    stores.tasks.delete(["t"])
    stores.updates.save_update(given)
    stores.updates.save_event(given.key, JobUpdateEvent(U.ERROR, 1))
    stores.quotas.save("www-data", Quota(1, 2, 3))
    stores.attributes.save(HostAttributes("agent-1", "host-1"))
    events = Events(libmesos_store)
    assert events.read(stores.connection, after=0) == []
    assert events.newest(stores.connection) == 0


def test_what_is_rolled_back_tells_nothing(ensemble: MemoryEnsemble) -> None:
    store = opened(ensemble)
    with pytest.raises(LookupError), store.begin() as connection:
        Stores(connection).tasks.save([task("void")])
        raise LookupError
    with store.begin() as connection:
        Stores(connection).tasks.save([task("kept")])
    assert published(store) == [TaskChanged("kept", JOB, 0, None, S.PENDING, None)]


def test_a_unit_of_a_batch_that_fails_tells_nothing(ensemble: MemoryEnsemble) -> None:
    store = opened(ensemble)

    def save(name: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            Stores(connection).tasks.save([task(name)])
            if name == "void":
                raise LookupError

        return work

    with store.batch() as batch:
        done = [batch.submit(save(name)) for name in ("a", "void", "b")]
        assert isinstance(done[1].exception(LIMIT_S), LookupError)
        done[2].result(LIMIT_S)
    told = published(store)
    assert [each.id for each in told if isinstance(each, TaskChanged)] == ["a", "b"]
    assert len(told) == 2


def test_events_of_others_are_no_changes() -> None:
    assert change(Event(1, "started", {"id": "web-0"})) is None
    assert change(Event(2, "model.yet.unknown", {})) is None


@pytest.mark.parametrize(
    "body",
    [
        {"id": "t", "job": "a/b/c", "instance": 0, "before": None, "status": 99, "host": None},
        {"id": "t", "job": "a/b/c", "instance": 0, "status": 1, "host": None},
        {"id": "t", "job": "a/b/c/d", "instance": 0, "before": 0, "status": 1, "host": None},
    ],
)
def test_an_event_that_this_release_does_not_know_is_refused(body: object) -> None:
    with pytest.raises(FormatTooNew, match=r"event 7 \(model.task.changed\).*upgrade"):
        change(Event(7, "model.task.changed", body))


# ---- subscribers ----


def test_one_handler_hears_of_the_state_and_then_of_what_changes(ensemble: MemoryEnsemble) -> None:
    store = opened(ensemble)
    with store.begin() as connection:
        times = {"late": 3000, "early": 1000, "between": 2000}
        Stores(connection).tasks.save(
            [
                task(name, S.RUNNING, events=(TaskEvent(time, S.RUNNING),))
                for name, time in times.items()
            ]
        )
    told: list[tuple[str, S | None, S]] = []
    begun, heard = threading.Event(), threading.Event()

    def hear(found: Change | None) -> None:
        if isinstance(found, TaskChanged):
            told.append((found.id, found.before, found.status))

    def current(connection: Connection) -> None:
        for each in initial_changes(connection):
            hear(each)
        begun.set()

    def handle(events: Sequence[Event]) -> None:
        for each in events:
            hear(change(each))
        heard.set()

    with Events(store).subscribe("scheduling", handle, current=current):
        assert begun.wait(LIMIT_S)
        with store.begin() as connection:
            StateManager(Stores(connection)).change_state("early", S.FINISHED)
        assert heard.wait(LIMIT_S)
    assert told == [
        ("early", None, S.RUNNING),
        ("between", None, S.RUNNING),
        ("late", None, S.RUNNING),
        ("early", S.RUNNING, S.FINISHED),
    ]


def test_the_state_is_told_as_the_tasks_are(stores: Stores) -> None:
    placed = task("a", S.RUNNING, instance=4, assignment=Assignment("agent-1", "host-1"))
    stores.tasks.save([placed, task("b", S.PENDING, events=())])
    waiting, running = initial_changes(stores.connection)
    assert waiting == TaskChanged("b", JOB, 0, None, S.PENDING, None)
    assert running == TaskChanged("a", JOB, 4, None, S.RUNNING, "host-1")
    assert running.key == placed.key


# ---- the revision ----


def test_a_downgrade_ends_the_telling_and_an_upgrade_begins_it_again(
    stores: Stores, told: Told
) -> None:
    schema = Schema(REVISIONS, EVENT_REVISIONS)
    stores.tasks.save([task("t")])
    assert told() == [TaskChanged("t", JOB, 0, None, S.PENDING, None)]
    schema.downgrade(stores.connection, "model_0001")
    StateManager(stores).assign("t", "host-1", "agent-1")
    assert told() == []
    schema.release(stores.connection)
    schema.upgrade(stores.connection)
    stores.tasks.delete(["t"])
    assert told() == [TaskDeleted("t", JOB, 0, S.ASSIGNED, "host-1")]
