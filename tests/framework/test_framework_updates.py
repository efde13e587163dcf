"""What is durable before what is sent: launches, acknowledgements, callbacks that raise."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from memory_stores import MemoryEnsemble
from schedulers import Make, Watched, events, tasks, wait, wait_running
from sqlalchemy import text

from aurora_store import Store
from aurora_store.dev import MesosCluster
from aurora_store.errors import CommitOutcomeUnknown, LeadershipLost, NotLeader
from aurora_store.framework import Driver, Framework

ALL = {"TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"}


def known(cluster: MesosCluster, framework: Framework) -> dict[str, str]:
    """Tasks that the master knows of a framework, and their states."""
    found = {}
    for each in cluster.get("/state")["frameworks"]:
        if each["id"] == framework.status.framework_id:
            for task in each["tasks"] + each["completed_tasks"]:
                found[task["id"]] = task["state"]
    return found


def started(framework: Framework) -> Framework:
    """The framework, active."""
    framework.start()
    framework.wait_active()
    return framework


def test_updates_are_recorded_and_acknowledged_until_the_end(
    store: Store, make: Make, cluster: MesosCluster
) -> None:
    scheduler = Watched(1, "true")
    framework = started(make(store, scheduler))
    wait(lambda: "instance-0-1" in tasks(store), "the instance is launched again")
    assert events(store, "instance-0-0") == ALL
    wait(lambda: known(cluster, framework).get("instance-0-0") == "TASK_FINISHED", "Mesos knows")
    status = framework.status
    assert status.updates_recorded >= 3
    assert status.updates_acknowledged >= 3
    assert status.callbacks_failed == 0


def test_update_is_not_acknowledged_while_its_transaction_is_not_durable(
    ensemble: MemoryEnsemble, store: Store, make: Make
) -> None:
    scheduler = Watched(1, "true")
    framework = make(store, scheduler)
    first = threading.Event()
    arrived: list[str] = []

    def cut(update: Any) -> bool:
        if "uuid" in update:
            arrived.append(update["state"])
        if "uuid" in update and not first.is_set():
            first.set()
            ensemble.logs[0].arm("no-quorum", times=-1)
        return False

    scheduler.failing["statusUpdate"] = cut
    started(framework)
    assert first.wait(30.0)
    wait(lambda: framework.status.state.value == "standby", "it notices")
    # The next update of a task comes when the one before is acknowledged: none was.
    assert framework.status.updates_acknowledged == 0
    assert arrived == ["TASK_STARTING"]
    ensemble.logs[0].disarm()
    wait(lambda: events(store, "instance-0-0") == ALL, "the next leader gets all of them")


def test_task_whose_row_is_not_durable_is_not_launched(
    ensemble: MemoryEnsemble, store: Store, make: Make, cluster: MesosCluster
) -> None:
    scheduler = Watched()
    framework = make(store, scheduler)
    launched = threading.Event()

    def lose(_offers: Any) -> bool:
        if not launched.is_set():
            launched.set()
            ensemble.logs[0].arm("append-fails-and-is-not")
        return False

    scheduler.failing["resourceOffers"] = lose
    framework.start()
    assert launched.wait(30.0)
    wait_running(store, "instance-0-0")
    # The same id, because the first row never was; and Mesos has heard of it once.
    assert list(tasks(store)) == ["instance-0-0"]
    assert list(known(cluster, framework)) == ["instance-0-0"]
    assert framework.status.callbacks_failed == 0


def test_task_that_was_written_down_and_never_launched_is_found_and_replaced(
    ensemble: MemoryEnsemble, store: Store, make: Make, cluster: MesosCluster
) -> None:
    scheduler = Watched()
    framework = make(store, scheduler)
    launched = threading.Event()

    def lose(_offers: Any) -> bool:
        if not launched.is_set():
            launched.set()
            ensemble.logs[0].arm("append-fails-but-is-in-log")
        return False

    scheduler.failing["resourceOffers"] = lose
    framework.start()
    wait_running(store, "instance-0-1")
    assert tasks(store)["instance-0-0"] == "TASK_LOST"
    assert list(known(cluster, framework)) == ["instance-0-1"]


def test_update_whose_callback_raises_is_undone_and_others_are_not(
    store: Store, make: Make
) -> None:
    scheduler = Watched(3, "true")
    scheduler.failing["statusUpdate"] = lambda update: update["task_id"]["value"] == "instance-1-0"
    framework = started(make(store, scheduler))
    wait(lambda: events(store, "instance-0-0") == ALL, "another task's updates are recorded")
    wait(lambda: events(store, "instance-2-0") == ALL, "another task's updates are recorded")
    wait(lambda: framework.status.callbacks_failed > 0, "the failure is counted")
    assert events(store, "instance-1-0") == set()
    assert tasks(store)["instance-1-0"] == "TASK_STAGING"
    assert framework.status.reigns == 1
    scheduler.failing.clear()
    wait(lambda: events(store, "instance-1-0") == ALL, "it comes again")


def test_offers_whose_callback_raises_are_declined_and_come_again(store: Store, make: Make) -> None:
    scheduler = Watched()
    framework = make(store, scheduler)
    scheduler.failing["resourceOffers"] = lambda _: framework.status.callbacks_failed == 0
    started(framework)
    wait_running(store, "instance-0-0")
    assert framework.status.callbacks_failed == 1


def test_scheduler_whose_tables_cannot_be_prepared_never_becomes_active(
    store: Store, make: Make
) -> None:
    scheduler = Watched()
    scheduler.failing["prepare"] = lambda _: True
    framework = make(store, scheduler)
    framework.start()
    wait(lambda: scheduler.calls.count("prepare") >= 2, "it tries again")
    assert framework.status.reigns == 0
    reasons = " ".join(each.reason for each in framework.status.transitions)
    assert "prepare fails, as a test wants it to" in reasons


def test_registered_callback_that_raises_does_not_keep_the_framework_down(
    store: Store, make: Make
) -> None:
    scheduler = Watched()
    scheduler.failing["registered"] = lambda _: True
    framework = started(make(store, scheduler))
    assert framework.status.callbacks_failed == 1
    wait_running(store, "instance-0-0")


def test_task_that_only_mesos_knows_is_found(
    store: Store, make: Make, cluster: MesosCluster
) -> None:
    framework = started(make(store, Watched()))
    wait_running(store, "instance-0-0")
    with store.begin() as connection:
        # Not deleted: it would be launched anew under that id, of which an agent dies (MESOS-9657).
        connection.execute(text("UPDATE task SET id = 'another'"))
    framework.driver.reconcileTasks([])
    wait(lambda: known(cluster, framework)["instance-0-0"] == "TASK_KILLED", "it is killed")


def test_threads_of_the_application_write_and_send_in_one_transaction(
    store: Store, make: Make, cluster: MesosCluster
) -> None:
    framework = started(make(store, Watched()))
    wait_running(store, "instance-0-0")
    driver = framework.driver
    with pytest.raises(ZeroDivisionError), driver.transaction():
        driver.killTask({"value": "instance-0-0"})
        raise ZeroDivisionError
    with driver.transaction() as session:
        session.execute(text("UPDATE task SET state = 'killing'"))
        driver.killTask({"value": "instance-0-0"})
        assert known(cluster, framework)["instance-0-0"] == "TASK_RUNNING"
    wait(lambda: tasks(store)["instance-0-0"] == "TASK_KILLED", "it is killed")


def test_session_is_there_within_a_transaction_alone(store: Store, make: Make) -> None:
    driver = started(make(store, Watched())).driver
    with pytest.raises(RuntimeError, match="within a callback"):
        _ = driver.session
    with (
        driver.transaction(),
        pytest.raises(RuntimeError, match="in a transaction already"),
        driver.transaction(),
    ):
        pass
    with driver.transaction(), pytest.raises(RuntimeError, match="cannot be torn down"):
        driver.stop(failover=False)


def test_transaction_of_a_deposed_leader_sends_nothing(
    ensemble: MemoryEnsemble, store: Store, make: Make, cluster: MesosCluster
) -> None:
    framework = started(make(store, Watched()))
    wait_running(store, "instance-0-0")
    driver: Driver = framework.driver
    ensemble.open("two:2").lead()
    refused = (NotLeader, LeadershipLost, CommitOutcomeUnknown)
    with pytest.raises(refused), driver.transaction() as session:
        session.execute(text("UPDATE task SET state = 'killing'"))
        driver.killTask({"value": "instance-0-0"})
    assert known(cluster, framework)["instance-0-0"] == "TASK_RUNNING"


def test_what_arrives_together_shares_a_transaction(store: Store, make: Make) -> None:
    scheduler = Watched(8, "sleep 1000")
    framework = started(make(store, scheduler))
    wait_running(store, *(f"instance-{number}-0" for number in range(8)))
    scheduler.batches.clear()
    before = store.status().transactions
    lock = store.engine.connect()
    with lock.begin():
        lock.execute(text("UPDATE task SET state = state"))
        framework.driver.reconcileTasks([])
        wait(lambda: framework.status.events_queued > 0 or scheduler.batches, "answers come")
    lock.close()
    wait(lambda: sum(scheduler.batches) >= 8, "all are handled")
    assert max(scheduler.batches) > 1
    assert store.status().transactions - before < 8 + 2
