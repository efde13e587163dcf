"""The state machine, and tasks driven by it; pruning of what ended."""

from __future__ import annotations

import itertools
import logging
import re
from dataclasses import replace
from typing import Any
from urllib.request import urlopen

import pytest
import recount
from samples import JOB, OTHER_JOB, S, config, task, update

from aurora_store import Store
from aurora_store.models import (
    ACTIVE_STATES,
    ILLEGAL_TRANSITIONS,
    TERMINAL_STATES,
    TRANSITIONS,
    IllegalDelete,
    InstanceInUse,
    JobUpdateEvent,
    JobUpdateKey,
    JobUpdateQuery,
    JobUpdateStatus,
    ScheduleStatus,
    StateChangeRequest,
    StateChangeResult,
    StateManager,
    Stores,
    TaskEvent,
    TaskHistory,
    TaskQuery,
    UpdateHistory,
    prune,
)
from aurora_store.models.pruning import prune_tasks, prune_updates
from aurora_store.monitoring import MonitoringServer

R = StateChangeResult


def managed(stores: Stores, now: int = 5000) -> StateManager:
    return StateManager(stores, scheduler="here", clock=lambda: now)


def metric(address: str, name: str) -> float:
    with urlopen(f"http://{address}/metrics", timeout=30.0) as answer:
        (value,) = re.findall(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(value)


@pytest.mark.parametrize(
    ("before", "after"), list(itertools.product(ScheduleStatus, repeat=2)), ids=lambda s: s.name
)
def test_a_status_follows_only_what_it_may(
    stores: Stores, before: ScheduleStatus, after: ScheduleStatus
) -> None:
    saved = task("t", before)
    stores.tasks.save([saved])
    change = managed(stores).change_state("t", after, message="why")
    found = stores.tasks.fetch("t")
    if before == after:
        assert (change.result, found) == (R.NOOP, saved)
    elif after not in TRANSITIONS[before]:
        assert change.result in (R.ILLEGAL, R.ILLEGAL_WITH_SIDE_EFFECTS)
        assert found == saved  # nothing was written
    elif after is S.KILLING and before in (S.PENDING, S.THROTTLED):
        assert (change.result, change.after, found) == (R.SUCCESS, None, None)
    else:
        assert (change.result, change.before, change.after) == (R.SUCCESS, before, after)
        assert found is not None
        assert found.status is after
        assert found.events[-1] == TaskEvent(5000, after, "why", "here")
    recount.check(stores, stores.tasks.fetch_tasks(TaskQuery()))


def test_terminal_tasks_change_no_more_and_active_ones_can() -> None:
    assert TRANSITIONS.keys() == set(ScheduleStatus)
    for status, following in TRANSITIONS.items():
        assert bool(following) == (status not in TERMINAL_STATES)
    assert all(S.INIT not in following for following in TRANSITIONS.values())


def test_an_unexpected_status_is_left_alone(stores: Stores) -> None:
    stores.tasks.save([task("t", S.ASSIGNED)])
    change = managed(stores).change_state("t", S.RUNNING, expected=S.STARTING)
    assert (change.result, change.before) == (R.INVALID_CAS_STATE, S.ASSIGNED)
    found = stores.tasks.fetch("t")
    assert found is not None
    assert found.status is S.ASSIGNED


@pytest.mark.parametrize("status", [JobUpdateStatus.ABORTED, "RUNNING", 99, None])
def test_what_is_no_status_of_a_task_is_refused_and_nothing_is_changed(
    stores: Stores, status: Any
) -> None:
    stores.tasks.save([task("t", S.PENDING)])
    assert JobUpdateStatus.ABORTED == S.KILLING, "equal numbers, and yet not a status of a task"
    with pytest.raises(ValueError, match=r"StateChangeRequest.status is a ScheduleStatus, not"):
        managed(stores).change_state("t", status)
    found = stores.tasks.fetch("t")
    assert found is not None
    assert found.status is S.PENDING


def test_an_expected_status_of_something_else_is_refused(stores: Stores) -> None:
    stores.tasks.save([task("t", S.KILLING)])
    with pytest.raises(ValueError, match=r"StateChangeRequest.expected is a ScheduleStatus, not"):
        managed(stores).change_state("t", S.KILLED, expected=JobUpdateStatus.ABORTED)  # type: ignore[arg-type]


def test_an_illegal_change_says_so_in_the_log(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    stores.tasks.save([task("t", S.PENDING)])
    with caplog.at_level(logging.WARNING):
        managed(stores).change_state("t", S.RUNNING)
    assert "task t is PENDING and cannot be RUNNING" in caplog.text


def test_illegal_changes_are_counted_for_prometheus(libmesos_store: Store, stores: Stores) -> None:
    name = "aurora_store_illegal_task_transitions_total"
    with MonitoringServer(libmesos_store) as server:
        server.registry.register(ILLEGAL_TRANSITIONS)
        before = metric(server.address, name)
        stores.tasks.save([task("t", S.PENDING)])
        for status in (S.RUNNING, S.PENDING, S.ASSIGNED, S.INIT):  # no other, the same, legal, no
            managed(stores).change_state("t", status)
        managed(stores).change_state("t", S.RUNNING, expected=S.LOST)
        assert metric(server.address, name) - before == 2


@pytest.mark.parametrize("before", [None, S.FAILED, S.KILLING, S.DRAINING])
def test_a_task_that_must_not_run_and_does_is_killed(
    stores: Stores, before: ScheduleStatus | None
) -> None:
    if before is not None:
        stores.tasks.save([task("t", before)])
    change = managed(stores).change_state("t", S.RUNNING)
    assert (change.result, change.kill) == (R.ILLEGAL_WITH_SIDE_EFFECTS, True)


@pytest.mark.parametrize(
    ("before", "after", "options", "again"),
    [
        (S.RUNNING, S.FINISHED, {}, False),
        (S.RUNNING, S.FINISHED, {"is_service": True}, True),
        (S.RUNNING, S.FAILED, {}, False),
        (S.RUNNING, S.FAILED, {"max_task_failures": 2}, True),
        (S.RUNNING, S.FAILED, {"max_task_failures": -1}, True),
        (S.RUNNING, S.KILLED, {}, True),
        (S.RUNNING, S.LOST, {}, True),
        (S.DRAINING, S.FINISHED, {}, True),
        (S.RESTARTING, S.FAILED, {}, True),
        (S.KILLING, S.KILLED, {"is_service": True}, False),
        (S.KILLING, S.LOST, {}, False),
    ],
)
def test_a_task_is_replaced_when_it_must_be(
    stores: Stores, before: ScheduleStatus, after: ScheduleStatus, options: dict, again: bool
) -> None:
    stores.tasks.save([task("t", before, config=config(**options), instance=4)])
    change = managed(stores).change_state("t", after)
    assert (change.successor is not None) == again
    if change.successor is not None:
        successor = stores.tasks.fetch(change.successor)
        assert successor is not None
        assert (successor.ancestor, successor.instance) == ("t", 4)
        assert (successor.status, successor.failures) == (S.PENDING, int(after is S.FAILED))
        assert successor.config == config(**options)
    recount.check(stores, stores.tasks.fetch_tasks(TaskQuery()))


def test_failures_add_up_over_the_ancestors(stores: Stores) -> None:
    manager = managed(stores)
    (name,) = manager.insert_pending(config(max_task_failures=3), [0])
    lives = 0
    while name is not None:
        lives += 1
        manager.assign(name, "h", "s")
        name = manager.change_state(name, S.FAILED).successor
    assert lives == 3


def test_what_ends_too_often_waits_first(stores: Stores) -> None:
    stores.tasks.save([task("t", S.RUNNING)])
    manager = StateManager(stores, clock=lambda: 1, throttle=lambda name: name == "t")
    successor = manager.change_state("t", S.LOST).successor
    assert successor is not None
    found = stores.tasks.fetch(successor)
    assert found is not None
    assert found.status is S.THROTTLED


def test_a_partition_is_counted(stores: Stores) -> None:
    stores.tasks.save([task("t", S.RUNNING)])
    manager = managed(stores)
    for status in (S.PARTITIONED, S.RUNNING, S.PARTITIONED):
        assert manager.change_state("t", status).result is R.SUCCESS
    found = stores.tasks.fetch("t")
    assert found is not None
    assert found.times_partitioned == 2


def test_changes_of_a_batch_follow_each_other(stores: Stores) -> None:
    stores.tasks.save([task("t", S.ASSIGNED), task("p", S.PENDING)])
    wishes = [
        ("t", S.STARTING, None),
        ("t", S.RUNNING, S.STARTING),
        ("p", S.KILLING, None),
        ("p", S.ASSIGNED, None),
    ]
    changes = managed(stores).change_states([StateChangeRequest(*each) for each in wishes])
    assert [each.result for each in changes[:3]] == [R.SUCCESS] * 3
    assert changes[3].result is R.ILLEGAL_WITH_SIDE_EFFECTS
    (found,) = stores.tasks.fetch_tasks(TaskQuery())
    assert [each.status for each in found.events] == [S.ASSIGNED, S.STARTING, S.RUNNING]


def test_only_a_pending_task_is_assigned(stores: Stores) -> None:
    manager = managed(stores)
    (name,) = manager.insert_pending(config(), [0])
    assert manager.assign(name, "h", "s", {"http": 80}).result is R.SUCCESS
    found = stores.tasks.fetch(name)
    assert found is not None
    assert found.assignment is not None
    assert (found.assignment.host, found.assignment.ports) == ("h", {"http": 80})
    assert manager.assign(name, "other", "s2").result is R.INVALID_CAS_STATE
    assert stores.tasks.fetch(name) == found


def test_an_instance_has_one_active_task(stores: Stores) -> None:
    manager = managed(stores)
    (first, _) = manager.insert_pending(config(), [0, 1])
    with pytest.raises(InstanceInUse, match=f"instance 0 of {JOB} is in use by the task {first}"):
        manager.insert_pending(config(priority=1), [5, 0])
    assert len(stores.tasks.fetch_tasks(TaskQuery())) == 2
    manager.assign(first, "h", "s")
    manager.change_state(first, S.FINISHED)
    manager.insert_pending(config(), [0])
    for wrong in ([], [3, 3], [-1]):
        with pytest.raises(ValueError, match="instance"):
            manager.insert_pending(config(), wrong)


def test_only_what_ended_is_deleted(stores: Stores) -> None:
    stores.tasks.save([task("a", S.FINISHED), task("b", S.KILLING), task("c", S.RUNNING)])
    manager = managed(stores)
    with pytest.raises(IllegalDelete, match="task c is RUNNING"):
        manager.delete(["a", "c"])
    assert manager.delete(["a", "b", "absent"]) == 2
    assert [each.id for each in stores.tasks.fetch_tasks(TaskQuery())] == ["c"]


# ---- pruning ----


def _ended(name: str, time_ms: int, status: ScheduleStatus = S.FINISHED):
    return task(name, status, events=(TaskEvent(time_ms, status),))


def test_one_id_is_not_taken_for_the_ids_of_its_letters(stores: Stores) -> None:
    stores.tasks.save([task("t1", S.FINISHED)])
    for delete in (managed(stores).delete, stores.tasks.delete):
        with pytest.raises(ValueError, match=r"task_ids are several, not the text 't1'"):
            delete("t1")
    assert stores.tasks.fetch("t1") is not None


def test_history_is_kept_as_configured(stores: Stores) -> None:
    history = TaskHistory(per_job=2, max_age_ms=100, min_retention_ms=10)
    stores.tasks.save(
        [
            _ended("too old", 899),
            _ended("one too many", 920),
            _ended("also one too many", 930),
            _ended("one too many, just old enough", 985),
            _ended("young", 995),
            *(_ended(f"young {number}", 996) for number in range(2)),
            *(task(f"active {s.name}", s, events=(TaskEvent(1, s),)) for s in ACTIVE_STATES),
            replace(_ended("of another job", 950), config=config(OTHER_JOB)),
        ]
    )
    assert prune_tasks(stores.connection, history, 1000, 100) == 4
    left = {each.id for each in stores.tasks.fetch_tasks(TaskQuery().terminal())}
    # Of the newest three, which are more than two, none is old enough to go.
    assert left == {"young", "young 0", "young 1", "of another job"}
    assert len(stores.tasks.fetch_tasks(TaskQuery().active())) == len(ACTIVE_STATES)
    recount.check(stores, stores.tasks.fetch_tasks(TaskQuery()))


def test_pruning_takes_the_oldest_first_and_no_more_than_it_may(stores: Stores) -> None:
    stores.tasks.save([_ended(f"t{number}", number) for number in range(10)])
    history = TaskHistory(per_job=3, max_age_ms=10**9, min_retention_ms=0)
    assert prune_tasks(stores.connection, history, 10**6, 4) == 4
    left = [each.id for each in stores.tasks.fetch_tasks(TaskQuery())]
    assert left == [f"t{number}" for number in range(4, 10)]
    assert prune_tasks(stores.connection, history, 10**6, 4) == 3
    assert prune_tasks(stores.connection, history, 10**6, 4) == 0


def test_updates_that_ended_are_pruned_and_others_never(stores: Stores) -> None:
    for number in range(6):
        status = JobUpdateStatus.ROLLED_FORWARD if number else JobUpdateStatus.ROLLING_FORWARD
        stores.updates.save_update(update(f"u{number}"))
        event = JobUpdateEvent(status, 900 + 10 * number)
        stores.updates.save_event(JobUpdateKey(JOB, f"u{number}"), event)
    history = UpdateHistory(per_job=2, max_age_ms=85)
    assert prune_updates(stores.connection, history, 1000, 100) == 3
    left = [each.key.id for each in stores.updates.fetch_summaries(JobUpdateQuery())]
    assert left == ["u5", "u4", "u0"]
    assert recount.orphans(stores) == {}


def test_pruning_a_store_is_done_in_small_transactions(libmesos_store: Store) -> None:
    with libmesos_store.begin() as connection:
        Stores(connection).tasks.save([_ended(f"t{number}", 1) for number in range(25)])
    before = libmesos_store.status().transactions
    assert prune(libmesos_store, batch=10) == (25, 0)
    assert libmesos_store.status().transactions == before + 3
    with libmesos_store.read() as connection:
        assert list(Stores(connection).tasks.fetch_tasks(TaskQuery())) == []
