"""The life of a framework: its states, its id, its services, its master. Real master, test log."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from appointed import Appointed
from memory_stores import MemoryEnsemble
from mesos_cluster import mesos_cluster
from revision_files import FIRST, write
from schedulers import Make, Watched, tasks, wait, wait_running, wait_state

from aurora_store import Store
from aurora_store.dev import MesosCluster
from aurora_store.errors import LeadershipLost, NotLeader, WaitTimeout
from aurora_store.framework import FrameworkState, Transition
from aurora_store.migrations import Schema, Standing


def frameworks(cluster: MesosCluster, name: str) -> dict[str, bool]:
    """Ids of the master's frameworks of a name, and whether each is connected."""
    every = cluster.get("/frameworks")["frameworks"]
    return {each["id"]: each["connected"] for each in every if each["name"] == name}


class Log:
    """A service that says when it starts and stops."""

    def __init__(self, name: str, lines: list[str], framework: Any = None) -> None:
        self._name = name
        self._lines = lines

    def start(self) -> None:
        self._lines.append(f"start {self._name}")

    def stop(self) -> None:
        self._lines.append(f"stop {self._name}")


class Hanging:
    """A service whose stop, or whose start, does not return."""

    def __init__(self, what: str) -> None:
        self._what = what

    def start(self) -> None:
        if self._what == "start":
            threading.Event().wait()

    def stop(self) -> None:
        if self._what == "stop":
            threading.Event().wait()


def test_a_framework_runs_on_a_store_whose_schema_it_migrates_when_it_leads(
    ensemble: MemoryEnsemble, make: Make, tmp_path: Path
) -> None:
    store = ensemble.open("one:1", schema=Schema(write(tmp_path / "farm", [FIRST])))
    framework = make(store, Watched())
    framework.start()
    framework.wait_active(timeout=60.0)
    assert store.migrator is not None
    assert store.migrator.verdict().standing is Standing.CURRENT
    wait(lambda: "TASK_RUNNING" in tasks(store).values(), "a task runs")
    assert framework.status.unfit == ""


def test_id_is_kept_and_the_next_leader_registers_with_it(
    ensemble: MemoryEnsemble, make: Make, cluster: MesosCluster, request: pytest.FixtureRequest
) -> None:
    one, two = ensemble.open("one:1"), ensemble.open("two:2")
    first, second = make(one, Watched()), make(two, Watched())
    first.start()
    first.wait_active()
    second.start()
    framework_id = first.status.framework_id
    assert framework_id
    assert frameworks(cluster, request.node.name) == {framework_id: True}
    wait_running(one, "instance-0-0")
    first.close()
    second.wait_active()
    assert second.status.framework_id == framework_id
    assert frameworks(cluster, request.node.name) == {framework_id: True}
    assert second.scheduler.calls[:2] == ["prepare", "reregistered"]
    # What runs is asked for, and still runs; it was not launched again.
    wait(lambda: "statusUpdate" in second.scheduler.calls, "the task's state is answered")
    assert tasks(two) == {"instance-0-0": "TASK_RUNNING"}


def test_life_is_a_sequence_of_states_with_times_and_hooks(store: Store, make: Make) -> None:
    seen: list[Transition] = []
    framework = make(store, Watched(), on_change=seen.append)
    assert framework.status.state is FrameworkState.NEW
    framework.start()
    takeover = framework.wait_active()
    framework.close()
    states = [each.state.value for each in seen]
    assert states == [
        "standby",
        "elected",
        "catching up",
        "registering",
        "starting",
        "active",
        "stopping",
        "standby",
        "closed",
    ]
    assert framework.status.transitions[1:] == tuple(seen)
    assert all(later.at >= earlier.at for earlier, later in zip(seen, seen[1:], strict=False))
    assert takeover.registration_s > 0
    assert framework.status.reigns == 1
    json = framework.status.as_json()
    assert json["state"] == "closed"
    assert json["takeover"]["election_s"] == takeover.election_s


def test_services_start_after_registration_and_stop_in_reverse(store: Store, make: Make) -> None:
    lines: list[str] = []
    scheduler = Watched()

    class Registered(Log):
        """Looks whether the scheduler was registered before it."""

        def start(self) -> None:
            assert "registered" in scheduler.calls
            super().start()

    services = [Registered("a", lines), Log("b", lines)]
    framework = make(store, scheduler, services=services)
    framework.start()
    framework.wait_active()
    assert lines == ["start a", "start b"]
    framework.close()
    assert lines == ["start a", "start b", "stop b", "stop a"]


def test_service_that_does_not_start_ends_the_reign_with_a_message(
    store: Store, make: Make
) -> None:
    lines: list[str] = []
    services = [Log("a", lines), Hanging("start")]
    framework = make(store, Watched(), services=services, service_timeout=0.5)
    framework.start()
    wait(lambda: lines == ["start a", "stop a"], "the first service is stopped again")
    reasons = [each.reason for each in framework.status.transitions]
    assert "the service Hanging did not start within 0.5 s" in reasons
    assert framework.status.reigns == 0


def test_service_that_does_not_stop_is_left_behind(store: Store, make: Make) -> None:
    lines: list[str] = []
    services = [Log("a", lines), Hanging("stop")]
    framework = make(store, Watched(), services=services, service_timeout=0.5)
    framework.start()
    framework.wait_active()
    framework.close()
    assert lines == ["start a", "stop a"]
    assert framework.status.state is FrameworkState.CLOSED


def test_lost_leadership_stops_the_driver_and_stands_again(
    ensemble: MemoryEnsemble, store: Store, make: Make, cluster: MesosCluster
) -> None:
    lines: list[str] = []
    framework = make(store, Watched(), services=[Log("a", lines)])
    framework.start()
    framework.wait_active()
    framework_id = framework.status.framework_id
    ensemble.logs[0].arm("lost-promise")
    wait(lambda: framework.status.reigns == 2, "it is active again")
    assert lines == ["start a", "stop a", "start a"]
    assert framework.status.framework_id == framework_id
    assert framework.scheduler.calls.count("reregistered") == 1


def test_deposed_leader_that_has_not_heard_of_it_does_not_subscribe_again(
    ensemble: MemoryEnsemble, make: Make
) -> None:
    # Without heartbeats a leader does not notice that it is one no more.
    one, two = (ensemble.open(host, heartbeat=0.0) for host in ("one:1", "two:2"))
    elections = [Appointed("one"), Appointed("two")]
    old = make(one, Watched(0), election=elections[0])
    new = make(two, Watched(0), election=elections[1])
    for framework, election in zip((old, new), elections, strict=True):
        framework.start()
        election.elected.set()
        framework.wait_active()
        election.elected.clear()
    # The master has told the old one that its framework failed over to another scheduler.
    wait_state(old, "standby")
    assert old.status.reigns == new.status.reigns == 1
    assert new.scheduler.calls.count("reregistered") == 1
    assert "disconnected" not in new.scheduler.calls
    assert new.status.state is FrameworkState.ACTIVE


def test_leadership_is_advertised_only_while_services_run(store: Store, make: Make) -> None:
    advertised: list[str] = []

    class Slow(Log):
        """Takes its time."""

        def start(self) -> None:
            time.sleep(0.3)
            super().start()

    lines: list[str] = []
    framework = make(store, Watched(), services=[Slow("a", lines)])
    election = framework.candidate.election
    advertise = election.advertise

    def note(epoch: int) -> None:
        advertised.extend(lines)
        advertise(epoch)

    election.advertise = note  # type: ignore[method-assign]
    framework.start()
    wait(lambda: advertised, "it is advertised")
    assert advertised == ["start a"]


def test_candidate_that_is_told_to_leave_ends_with_its_first_reign(
    ensemble: MemoryEnsemble, store: Store, make: Make
) -> None:
    framework = make(store, Watched(), leave=True)
    framework.start()
    framework.wait_active()
    ensemble.logs[0].arm("lost-promise")
    with pytest.raises(LeadershipLost, match="leads no more"):
        framework.wait(30.0)
    assert framework.status.state is FrameworkState.FAILED


def test_driver_is_for_the_active_one_alone(store: Store, make: Make) -> None:
    framework = make(store, Watched())
    with pytest.raises(NotLeader, match="new here, not active"):
        _ = framework.driver


def test_wait_active_says_why_not(store: Store, make: Make) -> None:
    framework = make(store, Watched(), master="127.0.0.1:1", registration_timeout=60.0)
    framework.start()
    wait_state(framework, "registering")
    with pytest.raises(WaitTimeout, match=r"registering: .*127\.0\.0\.1:1.*refused"):
        framework.wait_active(timeout=0.5)


def test_master_that_cannot_be_reached_ends_the_reign_with_a_message(
    store: Store, make: Make
) -> None:
    framework = make(store, Watched(), master="127.0.0.1:1", registration_timeout=0.5)
    framework.start()
    wait_state(framework, "registering")
    wait_state(framework, "standby")
    assert framework.status.reason == (
        "not registered with a Mesos master for 0.5 s: the master at 127.0.0.1:1:"
        " [Errno 111] Connection refused"
    )


def test_closing_does_not_wait_for_a_master(store: Store, make: Make) -> None:
    framework = make(store, Watched(), master="127.0.0.1:1", registration_timeout=1000.0)
    framework.start()
    wait_state(framework, "registering")
    begin = time.monotonic()
    framework.close(timeout=20.0)
    assert time.monotonic() - begin < 15.0


def test_master_that_was_restarted_gets_the_same_framework_and_lost_tasks_are_replaced(
    store: Store, make: Make
) -> None:
    with mesos_cluster() as own:
        framework = make(store, Watched(), master=own.master)
        framework.start()
        framework.wait_active()
        framework_id = framework.status.framework_id
        wait_running(store, "instance-0-0")
        own.kill()
        wait(lambda: framework.status.problem, "it notices")
        assert framework.status.state is FrameworkState.ACTIVE
        own.start()
        wait_running(store, "instance-0-1")
        assert tasks(store)["instance-0-0"] == "TASK_LOST"
        assert framework.status.reigns == 1
        assert [each["id"] for each in own.get("/frameworks")["frameworks"]] == [framework_id]
        framework.close()


def test_leader_whose_master_stays_away_lets_others_try(store: Store, make: Make) -> None:
    with mesos_cluster(agents=0) as own:
        framework = make(store, Watched(), master=own.master, registration_timeout=1.0)
        framework.start()
        framework.wait_active()
        own.kill()
        wait_state(framework, "standby")
        assert "not registered with a Mesos master for 1 s" in framework.status.reason
        framework.close()


def test_framework_info_needs_a_name_a_user_no_id_and_a_failover_timeout(
    store: Store, make: Make
) -> None:
    for wrong, message in (
        ({"name": ""}, "needs name"),
        ({"user": ""}, "needs user"),
        ({"id": {"value": "x"}}, "kept in the store"),
        ({"failover_timeout": 0}, "ends every task"),
    ):
        with pytest.raises(ValueError, match=message):
            make(store, Watched(), info=wrong)
    with pytest.raises(ValueError, match="not an address"):
        make(store, Watched(), master="mesos")
