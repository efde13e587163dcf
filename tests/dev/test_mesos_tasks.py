"""The development cluster runs real tasks: what a framework sees of them, on the bare HTTP API."""

from __future__ import annotations

import base64
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import LIMIT
from mesos_cluster import wait_gone
from v1_framework import V1Framework

from aurora_store.dev import MesosCluster

# Says that it is ready, and ends on SIGTERM only if `trap` lets it.
_STAY = "echo $$ > {ready}; while :; do sleep 0.1; done"


@pytest.fixture
def framework(cluster: MesosCluster) -> Iterator[V1Framework]:
    """Torn down after the test, with all of its tasks."""
    with V1Framework(cluster.master) as registered:
        yield registered
        registered.call("TEARDOWN")


def wait_for(path: Path) -> str:
    """What a task has written."""
    end = time.monotonic() + LIMIT
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < end, f"{path.name} was not written"
        time.sleep(0.01)
    return path.read_text()


def test_command_runs_in_its_sandbox_and_finishes(
    framework: V1Framework, cluster: MesosCluster
) -> None:
    variables = {"variables": [{"name": "GREETING", "value": "hello"}]}
    command = {"value": 'echo "$GREETING" > written; echo to the log', "environment": variables}
    framework.launch("greet", command)
    assert framework.states(3) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    assert cluster.directory is not None
    [written] = cluster.directory.glob("work/agents/*/work/slaves/*/frameworks/*/**/written")
    assert written.read_text() == "hello\n"
    assert "to the log" in (written.parent / "stdout").read_text()


def test_command_without_a_shell_gets_its_arguments_as_they_are(
    framework: V1Framework, tmp_path: Path
) -> None:
    target = tmp_path / "a file; with $signs"
    command = {"shell": False, "value": "/usr/bin/touch", "arguments": ["touch", str(target)]}
    framework.launch("touch", command)
    assert framework.states(3)[-1] == "TASK_FINISHED"
    assert target.exists()


def test_command_that_exits_with_an_error_has_failed(framework: V1Framework) -> None:
    framework.launch("fail", {"value": "exit 3"})
    framework.states(2)
    status = framework.status()
    assert (status["state"], status["message"]) == ("TASK_FAILED", "Command exited with status 3")


def test_command_that_was_ended_by_a_signal_has_failed(framework: V1Framework) -> None:
    framework.launch("crash", {"value": "kill -SEGV $$"})
    framework.states(2)
    status = framework.status()
    assert status["state"] == "TASK_FAILED"
    assert status["message"] == "Command terminated with signal SIGSEGV"


def test_command_that_cannot_be_started_has_failed_and_never_ran(framework: V1Framework) -> None:
    framework.launch("missing", {"shell": False, "value": "/nonexistent/program"})
    assert framework.status()["state"] == "TASK_STARTING"
    status = framework.status()
    assert status["state"] == "TASK_FAILED"
    assert "No such file or directory" in status["message"]


def test_killed_task_ends_and_says_so(framework: V1Framework, tmp_path: Path) -> None:
    framework.launch("stay", {"value": _STAY.format(ready=tmp_path / "ready")})
    framework.states(2)
    pid = int(wait_for(tmp_path / "ready"))
    framework.kill("stay")
    status = framework.status()
    assert status["state"] == "TASK_KILLED"
    assert status["message"] == "Command terminated with signal SIGTERM"
    wait_gone(pid)


def test_task_that_ignores_sigterm_is_killed_after_its_grace_period(
    framework: V1Framework, tmp_path: Path
) -> None:
    command = {"value": "trap '' TERM; " + _STAY.format(ready=tmp_path / "ready")}
    framework.launch("stubborn", command)
    framework.states(2)
    pid = int(wait_for(tmp_path / "ready"))
    started = time.monotonic()
    framework.kill("stubborn", kill_policy={"grace_period": {"nanoseconds": 500_000_000}})
    assert framework.status()["message"] == "Command terminated with signal SIGKILL"
    assert time.monotonic() - started >= 0.5
    wait_gone(pid)


def test_task_that_ends_well_on_sigterm_was_killed_all_the_same(
    framework: V1Framework, tmp_path: Path
) -> None:
    framework.launch(
        "polite", {"value": "trap 'exit 0' TERM; " + _STAY.format(ready=tmp_path / "ready")}
    )
    framework.states(2)
    wait_for(tmp_path / "ready")
    framework.kill("polite")
    assert framework.status()["state"] == "TASK_KILLED"


def test_framework_that_wants_to_know_is_told_that_a_task_is_being_killed(
    cluster: MesosCluster, tmp_path: Path
) -> None:
    with V1Framework(cluster.master, capabilities=("TASK_KILLING_STATE",)) as framework:
        framework.launch("stay", {"value": _STAY.format(ready=tmp_path / "ready")})
        framework.states(2)
        wait_for(tmp_path / "ready")
        framework.kill("stay")
        assert framework.states(2) == ["TASK_KILLING", "TASK_KILLED"]
        framework.call("TEARDOWN")


def test_processes_that_a_task_leaves_behind_end_with_it(
    framework: V1Framework, tmp_path: Path
) -> None:
    left = tmp_path / "left"
    framework.launch("leave", {"value": f"sleep 1000 & echo $! > {left}"})
    assert framework.states(3)[-1] == "TASK_FINISHED"
    wait_gone(int(wait_for(left)))


def test_teardown_ends_a_framework_s_tasks(cluster: MesosCluster, tmp_path: Path) -> None:
    with V1Framework(cluster.master) as framework:
        framework.launch("stay", {"value": _STAY.format(ready=tmp_path / "ready")})
        framework.states(2)
        pid = int(wait_for(tmp_path / "ready"))
        framework.call("TEARDOWN")
    wait_gone(pid)


def test_update_that_is_not_acknowledged_comes_again_to_the_next_scheduler(
    cluster: MesosCluster,
) -> None:
    with V1Framework(cluster.master) as first:
        first.launch("once", {"value": "true"})
        assert first.status(acknowledge=False)["state"] == "TASK_STARTING"
        framework_id = first.id
    with V1Framework(cluster.master, framework_id=framework_id) as second:
        assert second.states(3) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
        second.call("TEARDOWN")


def test_tasks_survive_their_scheduler_which_comes_back_with_the_same_id(
    cluster: MesosCluster, tmp_path: Path
) -> None:
    with V1Framework(cluster.master) as first:
        first.launch("stay", {"value": _STAY.format(ready=tmp_path / "ready")})
        first.states(2)
        pid = int(wait_for(tmp_path / "ready"))
        framework_id = first.id
    with V1Framework(cluster.master, framework_id=framework_id) as second:
        assert second.id == framework_id
        second.call("RECONCILE", reconcile={"tasks": []})
        status = second.status()
        assert (status["task_id"]["value"], status["state"]) == ("stay", "TASK_RUNNING")
        os.kill(pid, 0)
        second.kill("stay")
        assert second.status()["state"] == "TASK_KILLED"
        second.call("TEARDOWN")


def test_newer_scheduler_of_the_same_id_takes_over_from_one_that_still_runs(
    cluster: MesosCluster,
) -> None:
    first = V1Framework(cluster.master)
    with first, V1Framework(cluster.master, framework_id=first.id) as second:
        assert second.id == first.id
        assert first.event("ERROR")["message"] == "Framework failed over"
        second.call("TEARDOWN")


def test_task_does_not_outlive_its_executor(
    framework: V1Framework, cluster: MesosCluster, tmp_path: Path
) -> None:
    framework.launch("stay", {"value": _STAY.format(ready=tmp_path / "ready")})
    framework.states(2)
    pid = int(wait_for(tmp_path / "ready"))
    executor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(executor, signal.SIGKILL)
    status = framework.status()
    assert status["state"] == "TASK_FAILED"
    assert status["source"] == "SOURCE_AGENT"
    wait_gone(pid)


def test_custom_executor_runs_many_tasks(framework: V1Framework) -> None:
    program = shlex.join([sys.executable, str(Path(__file__).with_name("many_tasks_executor.py"))])
    executor = {
        "type": "CUSTOM",
        "executor_id": {"value": "many"},
        "framework_id": {"value": framework.id},
        "command": {"value": f"exec {program}"},
    }
    little = [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.01}}]
    names = [f"task-{number}" for number in range(100)]
    framework.launch_all(
        [{"name": name, "executor": executor, "resources": little} for name in names]
    )
    states: dict[str, list[str]] = {name: [] for name in names}
    for _ in range(2 * len(names)):
        status = framework.status()
        states[status["task_id"]["value"]].append(status["state"])
    assert all(each == ["TASK_RUNNING", "TASK_FINISHED"] for each in states.values())


def test_identifiers_of_updates_are_uuids(framework: V1Framework) -> None:
    framework.launch("quick", {"value": "true"})
    numbers = {framework.status()["uuid"] for _ in range(3)}
    assert {len(base64.b64decode(each)) for each in numbers} == {16}
    assert len(numbers) == 3
