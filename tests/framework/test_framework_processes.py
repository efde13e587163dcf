"""Candidates as processes, on the real log, ZooKeeper and master: stopped and killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from mesos_cluster import clean_environment
from schedulers import wait

from aurora_store.demo.framework import Candidates, candidates
from aurora_store.demo.framework_check import differences_of
from aurora_store.errors import StoreError
from aurora_store.libmesos import fetch

SESSION_TIMEOUT = 2.0


@pytest.fixture
def cluster() -> Iterator[Candidates]:
    """Three candidates, one of them active, and tasks that come and go."""
    with clean_environment({"AURORA_STORE_LIBMESOS": str(fetch())}):
        try:
            with candidates(SESSION_TIMEOUT) as running:
                yield running
        except StoreError as exc:
            if exc.hint and "apt-get" in exc.hint:
                pytest.skip(exc.message)
            raise


def wait_started(cluster: Candidates, more: int = 6) -> None:
    """Until so many more tasks have started."""
    count = len(cluster.started.read_text().split())
    wait(lambda: len(cluster.started.read_text().split()) >= count + more, "tasks start")


def check(cluster: Candidates, framework_id: str) -> None:
    """Lets all tasks end; every account of what happened must be the same."""
    leader = cluster.wait_active()
    cluster.settle(leader, lambda *_: None)
    assert differences_of(cluster.history(leader, framework_id)) == []


def others(leader: int) -> list[int]:
    return [number for number in range(3) if number != leader]


def wait_active_among(cluster: Candidates, numbers: list[int]) -> int:
    def active() -> list[int]:
        return [each for each in numbers if cluster.status(each)["state"] == "active"]

    return wait(active, "another one is active")[0]


def subscriptions(status: dict[str, Any]) -> list[str]:
    return [each["state"] for each in status["transitions"] if each["state"] == "registering"]


def test_leader_that_was_stopped_and_comes_back_does_not_take_the_framework_back(
    cluster: Candidates,
) -> None:
    old = cluster.wait_active()
    framework_id = cluster.status(old)["framework_id"]
    wait_started(cluster)
    os.kill(cluster.nodes[old].pid, signal.SIGSTOP)
    try:
        new = wait_active_among(cluster, others(old))
        wait_started(cluster)
    finally:
        os.kill(cluster.nodes[old].pid, signal.SIGCONT)
    wait(lambda: cluster.status(old)["state"] == "standby", "the old one is a standby")
    wait_started(cluster)
    after = cluster.status(new)
    assert after["state"] == "active"
    assert after["reigns"] == 1
    # It was never disconnected: the old one has not subscribed in its place.
    assert after["problem"] == ""
    assert "took over" not in cluster.nodes[new].failed("").message
    check(cluster, framework_id)


def test_hand_over_keeps_the_framework_and_loses_nothing(cluster: Candidates) -> None:
    old = cluster.wait_active()
    framework_id = cluster.status(old)["framework_id"]
    wait_started(cluster)
    new = others(old)[0]
    done = cluster.nodes[old].call("transfer", to=cluster.nodes[new].name, timeout=20.0)
    assert done["to"] == cluster.nodes[new].name
    assert wait_active_among(cluster, [new]) == new
    assert cluster.status(old)["state"] == "standby"
    wait_started(cluster)
    check(cluster, framework_id)


def test_all_candidates_killed_at_once_come_back_with_the_same_framework(
    cluster: Candidates,
) -> None:
    framework_id = cluster.status(cluster.wait_active())["framework_id"]
    wait_started(cluster)
    for node in cluster.nodes:
        node.kill()
    for number in range(3):
        cluster.restart(number)
    cluster.wait_active()
    wait_started(cluster)
    check(cluster, framework_id)


def test_leader_goes_on_while_zookeeper_is_away(cluster: Candidates) -> None:
    leader = cluster.wait_active()
    framework_id = cluster.status(leader)["framework_id"]
    cluster.zookeeper.stop()
    wait_started(cluster)
    time.sleep(2 * SESSION_TIMEOUT)
    wait_started(cluster)
    cluster.zookeeper.start()
    wait_started(cluster)
    assert cluster.wait_active() == leader
    assert cluster.status(leader)["reigns"] == 1
    check(cluster, framework_id)
