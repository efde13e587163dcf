"""Leadership is handed over: nothing is lost, and nobody waits longer than needed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from electorate import NAMES, Electorate
from harness import WorkerError
from kazoo.client import KazooClient
from stores import check_pairs, wait_acknowledged
from zookeeper_server import ZooKeeperServer

# So long that nothing here can be due to a session that timed out.
SESSION_S = 30.0


@contextmanager
def client(zookeeper: ZooKeeperServer) -> Iterator[KazooClient]:
    kazoo = KazooClient(hosts=f"127.0.0.1:{zookeeper.port}")
    kazoo.start()
    try:
        yield kazoo
    finally:
        kazoo.stop()
        kazoo.close()


@pytest.fixture
def voters(
    electorate: Electorate, zookeeper: ZooKeeperServer, request: pytest.FixtureRequest
) -> Electorate:
    """Three candidates of which the first one leads, each to write while it does."""
    electorate.stand_all(
        zookeeper=zookeeper.url(f"/{request.node.name}"), session_timeout=SESSION_S
    )
    electorate.write()
    return electorate


def test_under_load_every_published_commit_is_acknowledged_and_the_next_one_leads_at_once(
    voters: Electorate,
) -> None:
    leader = 0
    voters.replicas[0].call("transfer", to="green")
    leader = voters.wait_leader(1)
    for _ in range(4):
        wait_acknowledged(voters.acknowledged, voters.count_acknowledged() + 50)
        heir = (leader + 1) % 3
        done = voters.replicas[leader].call("transfer", to=NAMES[heir])
        old = voters.replicas[leader].call("writing")
        gap_s = voters.first_commit_after(heir, old["last"]) - old["last"]
        assert done["to"] == NAMES[heir]
        assert old["unknown"] == [], "a hand-over may not leave a commit open"
        assert set(old["refused"]) <= {"NotLeader", "LeadershipLost"}
        # Told by a watch: neither a session nor a pause of an election had to pass.
        assert 0 < gap_s < 5.0
        assert 0 < done["gap_s"] < 5.0
        leader = heir
    voters.stop_writing()
    check_pairs(voters.replicas[leader], voters.acknowledged)
    voters.agree(leader)


def test_without_a_name_whichever_standby_is_ready_first_leads(voters: Electorate) -> None:
    voters.replicas[1].stop()
    try:
        assert voters.replicas[0].call("transfer")["to"] == "blue"
    finally:
        voters.replicas[1].resume()
    assert voters.replicas[2].call("candidate_status")["state"] == "leading"


def test_a_standby_that_is_not_ready_in_time_leaves_everything_as_it_was(
    voters: Electorate,
) -> None:
    voters.replicas[1].stop()
    try:
        with pytest.raises(WorkerError, match=r"HandoverFailed.*green was not ready within 1 s"):
            voters.replicas[0].call("transfer", to="green", timeout=1.0)
        voters.replicas[0].call("script", statements=["INSERT INTO pair VALUES (-1, 0), (-1, 1)"])
    finally:
        voters.replicas[1].resume()
    assert voters.replicas[0].call("candidate_status")["reigns"] == 1
    assert len(voters.replicas[0].call("events")) == 1
    # And the next try succeeds.
    assert voters.replicas[0].call("transfer", to="green")["to"] == "green"


def test_what_cannot_be_done_is_refused_by_name(voters: Electorate) -> None:
    with pytest.raises(WorkerError, match=r"NoSuchCandidate.*white.*blue, green"):
        voters.replicas[0].call("transfer", to="white")
    with pytest.raises(WorkerError, match=r"HandoverFailed.*red leads already"):
        voters.replicas[0].call("transfer", to="red")
    with pytest.raises(WorkerError, match=r"NotLeader.*green does not lead"):
        voters.replicas[1].call("transfer", to="blue")
    assert voters.replicas[0].call("candidate_status")["state"] == "leading"


def test_a_second_hand_over_is_refused_while_one_is_under_way(voters: Electorate) -> None:
    voters.replicas[1].stop()
    try:
        first = voters.replicas[0].start("transfer", to="green", timeout=2.0)
        time.sleep(0.2)
        with pytest.raises(WorkerError, match=r"HandoverFailed.*another hand-over is under way"):
            voters.replicas[0].call("transfer", to="blue")
        with pytest.raises(WorkerError, match=r"HandoverFailed.*green was not ready"):
            first.result()
    finally:
        voters.replicas[1].resume()


def test_an_heir_that_never_takes_over_costs_the_limit_and_then_everybody_stands_again(
    voters: Electorate, zookeeper: ZooKeeperServer, request: pytest.FixtureRequest
) -> None:
    """The heir is a double of one that hangs right after it said that it is ready."""
    path = f"/{request.node.name}"
    with client(zookeeper) as kazoo:
        hung = {"name": "hung", "address": "", "metadata": {}}
        kazoo.create(f"{path}/candidates/hung", json.dumps(hung).encode(), ephemeral=True)

        @kazoo.DataWatch(f"{path}/transfer")
        def say_ready(data: bytes | None, _stat: object) -> None:
            if data is not None and json.loads(data)["position"] is not None:
                answer = {"id": json.loads(data)["id"], "name": "hung"}
                kazoo.create(f"{path}/ready", json.dumps(answer).encode(), ephemeral=True)

        with pytest.raises(WorkerError, match=r"HandoverFailed.*nobody took over"):
            voters.replicas[0].call("transfer", to="hung", limit=60.0)
        voters.wait_leader(0, 1, 2)


def test_a_leader_that_dies_while_it_hands_over_is_followed_like_any_other(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    """It waits for a double of a candidate that is there and never gets ready."""
    electorate.stand_all(zookeeper=zookeeper.url("/dies"), session_timeout=2.0)
    with client(zookeeper) as kazoo:
        slow = {"name": "slow", "address": "", "metadata": {}}
        kazoo.create("/dies/candidates/slow", json.dumps(slow).encode(), ephemeral=True)
        electorate.replicas[0].start("transfer", to="slow", timeout=30.0)
        deadline = time.monotonic() + 10
        while kazoo.exists("/dies/transfer") is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert kazoo.exists("/dies/transfer") is not None
        electorate.replicas[0].kill()
        heir = electorate.wait_leader(1, 2)
    assert electorate.replicas[heir].call("transfer")["to"] == NAMES[3 - heir]
