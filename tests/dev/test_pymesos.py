"""Real pymesos against the real master: registration, offers, tasks, updates and failover."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import LIMIT, Worker, spawn
from http_parser.http import HttpParser
from mesos_cluster import mesos_cluster

from aurora_store.dev import MesosCluster

_WORKER = Path(__file__).with_name("pymesos_worker.py")


@pytest.fixture
def scheduler() -> Iterator[Worker]:
    """A process for a scheduler."""
    with spawn(_WORKER) as worker:
        yield worker


@pytest.fixture
def successor() -> Iterator[Worker]:
    """A second one."""
    with spawn(_WORKER) as worker:
        yield worker


def states(scheduler: Worker, count: int) -> list[str]:
    """The next states of tasks."""
    return [scheduler.call("status")[1] for _ in range(count)]


def frameworks(cluster: MesosCluster) -> dict[str, bool]:
    """Registered frameworks by id, and whether each is connected."""
    return {each["id"]: each["connected"] for each in cluster.get("/frameworks")["frameworks"]}


def wait_for(cluster: MesosCluster, expected: dict[str, bool]) -> None:
    """Until exactly these are registered."""
    end = time.monotonic() + LIMIT
    while (seen := frameworks(cluster)) != expected:
        assert time.monotonic() < end, seen
        time.sleep(0.02)


def test_tasks_run_finish_fail_and_are_killed(cluster: MesosCluster, scheduler: Worker) -> None:
    kind, framework_id = scheduler.call("start", master=cluster.master)
    assert kind == "registered"
    assert frameworks(cluster)[framework_id]
    scheduler.call("launch", name="good", command="true")
    assert states(scheduler, 3) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    scheduler.call("launch", name="bad", command="exit 1")
    assert states(scheduler, 3) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]
    scheduler.call("launch", name="long", command="sleep 1000")
    assert states(scheduler, 2) == ["TASK_STARTING", "TASK_RUNNING"]
    scheduler.call("kill_task", name="long")
    assert states(scheduler, 1) == ["TASK_KILLED"]
    scheduler.call("stop", failover=False)
    wait_for(cluster, {})


def test_task_survives_kill_9_of_its_scheduler_and_is_known_to_the_next(
    cluster: MesosCluster, scheduler: Worker, successor: Worker
) -> None:
    _, framework_id = scheduler.call("start", master=cluster.master)
    scheduler.call("launch", name="long", command="sleep 1000")
    assert states(scheduler, 2) == ["TASK_STARTING", "TASK_RUNNING"]
    scheduler.kill()
    wait_for(cluster, {framework_id: False})
    again = successor.call("start", master=cluster.master, framework_id=framework_id)
    assert again == ["reregistered", framework_id]
    successor.call("reconcile")
    assert successor.call("status") == ["long", "TASK_RUNNING"]
    successor.call("kill_task", name="long")
    assert states(successor, 1) == ["TASK_KILLED"]
    successor.call("stop", failover=False)
    wait_for(cluster, {})


def test_update_is_sent_again_until_a_scheduler_acknowledges_it(
    cluster: MesosCluster, scheduler: Worker, successor: Worker
) -> None:
    _, framework_id = scheduler.call("start", master=cluster.master)
    scheduler.call("launch", name="once", command="true")
    assert scheduler.call("status", acknowledge=False) == ["once", "TASK_STARTING"]
    scheduler.kill()
    successor.call("start", master=cluster.master, framework_id=framework_id)
    assert states(successor, 3) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    successor.call("stop", failover=False)


def test_driver_stopped_for_failover_leaves_its_framework_registered(
    cluster: MesosCluster, scheduler: Worker, successor: Worker
) -> None:
    _, framework_id = scheduler.call("start", master=cluster.master)
    scheduler.call("stop", failover=True)
    wait_for(cluster, {framework_id: False})
    again = successor.call("start", master=cluster.master, framework_id=framework_id)
    assert again == ["reregistered", framework_id]
    assert frameworks(cluster) == {framework_id: True}
    successor.call("stop", failover=False)


def test_driver_connects_again_to_a_master_that_was_restarted(scheduler: Worker) -> None:
    with mesos_cluster() as cluster:
        _, framework_id = scheduler.call("start", master=cluster.master)
        cluster.kill()
        cluster.start()
        assert scheduler.call("registration") == ["reregistered", framework_id]
        assert frameworks(cluster) == {framework_id: True}
        scheduler.call("launch", name="again", command="true")
        assert states(scheduler, 3)[-1] == "TASK_FINISHED"


def test_response_that_is_no_http_is_an_error() -> None:
    parser = HttpParser()
    data = b"SSH-2.0-OpenSSH_9.2\r\n"
    assert parser.execute(data, len(data)) < len(data)
    assert parser.get_errno()


def test_response_in_pieces_is_parsed_as_it_arrives() -> None:
    parser = HttpParser()
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: one\r\n\r\n"
        b"4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n"
    )
    body = b""
    for number, byte in enumerate(response):
        assert parser.execute(bytes([byte]), 1) == 1
        assert parser.is_headers_complete() == (number >= response.index(b"4\r\nabcd") - 1)
        if parser.is_partial_body():
            body += parser.recv_body()
        assert parser.is_message_complete() == (number == len(response) - 1)
    assert body == b"abcdef"
    assert parser.get_status_code() == 200
    assert parser.is_chunked()
    assert parser.get_headers()["Mesos-Stream-Id"] == "one"
