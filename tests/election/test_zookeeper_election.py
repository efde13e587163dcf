"""Three replicas that elect their leader in a real ZooKeeper: who leads, and what may go wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from electorate import NAMES, Electorate, spawn_store, write_foreign_entry
from harness import WorkerError, free_ports
from kazoo.client import KazooClient
from stores import check_pairs, wait_acknowledged
from zookeeper_server import ZooKeeperServer

from aurora_store.election import Member, ZooKeeperElection, look_up
from aurora_store.errors import ElectionUnavailable

SESSION_S = 2.0
TICK_S = 0.2  # of the server: it rounds the end of a session up to it


@contextmanager
def client(zookeeper: ZooKeeperServer) -> Iterator[KazooClient]:
    """Somebody with no credentials."""
    kazoo = KazooClient(hosts=f"127.0.0.1:{zookeeper.port}")
    kazoo.start()
    try:
        yield kazoo
    finally:
        kazoo.stop()
        kazoo.close()


def test_everybody_can_read_who_leads_and_where_to_find_it(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand(
        0,
        zookeeper=zookeeper.url("/read/election", "u:secret"),
        address="10.0.0.1:8080",
        metadata={"rack": 7},
    )
    electorate.replicas[0].call("wait_leading")
    electorate.stand(1, zookeeper=zookeeper.url("/read/election", "u:secret"))
    expected = {"name": "red", "address": "10.0.0.1:8080", "metadata": {"rack": 7}, "epoch": 1}
    seen = electorate.wait_advertised(1, epoch=1)
    assert {key: seen[key] for key in expected} == expected
    leader, candidates = look_up(zookeeper.url("/read/election"))
    assert leader is not None
    assert leader.as_json() == seen
    assert [each.name for each in candidates] == ["green", "red"]


def test_after_kill_9_another_one_leads_within_the_session_timeout(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand_all(zookeeper=zookeeper.url("/kill"), session_timeout=SESSION_S)
    electorate.write()
    electorate.replicas[0].call("transfer", to="green")  # which writes
    wait_acknowledged(electorate.acknowledged, 100)
    killed_at = time.monotonic()
    electorate.replicas[1].kill()
    heir = electorate.wait_leader(0, 2)
    taken_s = electorate.first_commit_after(heir, killed_at) - killed_at
    # 20 appends take 40 ms; the limit is generous to a busy machine.
    assert taken_s < SESSION_S + TICK_S + 1.0
    electorate.stop_writing()
    check_pairs(electorate.replicas[heir], electorate.acknowledged)
    other = 2 - heir
    assert electorate.wait_advertised(other, epoch=3)["name"] == NAMES[heir]


def test_a_leader_that_ends_in_good_order_is_followed_at_once(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand_all(zookeeper=zookeeper.url("/close"), session_timeout=20.0)
    electorate.replicas[0].call("close_candidate")
    electorate.wait_leader(1, 2, limit=10.0)
    assert [event["kind"] for event in electorate.replicas[0].call("events")] == [
        "leading",
        "standby",
    ]
    with pytest.raises(WorkerError, match=r"StoreClosed.*closed"):
        electorate.replicas[0].call("wait_leading")


def test_a_stopped_leader_is_replaced_fenced_and_a_candidate_again(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand_all(zookeeper=zookeeper.url("/stop"), session_timeout=SESSION_S)
    electorate.write()
    electorate.replicas[0].call("transfer", to="green")
    wait_acknowledged(electorate.acknowledged, 50)
    electorate.replicas[1].stop()
    heir = electorate.wait_leader(0, 2)
    electorate.replicas[1].resume()
    electorate.wait_state(1, "standby")
    kinds = [event["kind"] for event in electorate.replicas[1].call("events")]
    assert kinds == ["leading", "standby"]
    electorate.wait_candidates(heir, ["blue", "green", "red"])
    # It can lead again, and has what the others wrote meanwhile.
    electorate.replicas[heir].call("transfer", to="green")
    electorate.wait_leader(1)
    electorate.stop_writing()
    check_pairs(electorate.replicas[1], electorate.acknowledged)


@pytest.mark.parametrize("outage_s", [0.5, 2 * SESSION_S], ids=["short", "long"])
def test_an_outage_of_zookeeper_does_not_end_the_reign(
    electorate: Electorate, zookeeper: ZooKeeperServer, outage_s: float
) -> None:
    electorate.stand_all(zookeeper=zookeeper.url(f"/outage{outage_s}"), session_timeout=SESSION_S)
    electorate.replicas[0].call("script", statements=["CREATE TABLE t (a)"])
    zookeeper.stop()
    try:
        time.sleep(outage_s)
        electorate.replicas[0].call("script", statements=["INSERT INTO t VALUES (1)"])
    finally:
        zookeeper.start()
    electorate.wait_candidates(1, ["blue", "green", "red"])
    electorate.replicas[0].call("script", statements=["INSERT INTO t VALUES (2)"])
    assert electorate.replicas[0].call("candidate_status")["reigns"] == 1
    assert [len(electorate.replicas[n].call("events")) for n in range(3)] == [1, 0, 0]
    assert electorate.wait_advertised(2, epoch=1)["name"] == "red"


def test_a_leader_whose_session_expires_leaves_it_to_the_one_that_was_faster(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand_all(zookeeper=zookeeper.url("/expired"), session_timeout=SESSION_S)
    electorate.replicas[0].call("expire_session")
    heir = electorate.wait_leader(1, 2)
    electorate.wait_state(0, "standby")
    [_, standby] = electorate.replicas[0].call("events")
    assert standby["kind"] == "standby"
    electorate.wait_candidates(heir, ["blue", "green", "red"])


def test_a_leader_whose_session_expires_goes_on_if_nobody_was_faster(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand(0, zookeeper=zookeeper.url("/alone"), session_timeout=SESSION_S)
    electorate.replicas[0].call("wait_leading")
    electorate.replicas[0].call("script", statements=["CREATE TABLE t (a)"])
    electorate.replicas[0].call("expire_session")
    electorate.wait_candidates(0, ["red"])
    with client(zookeeper) as kazoo:
        deadline = time.monotonic() + 10
        while kazoo.exists("/alone/leader") is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert kazoo.exists("/alone/leader") is not None
    electorate.replicas[0].call("script", statements=["INSERT INTO t VALUES (1)"])
    assert [event["kind"] for event in electorate.replicas[0].call("events")] == ["leading"]
    assert electorate.wait_advertised(0, epoch=1)["name"] == "red"


def test_a_standby_whose_session_expires_stands_again(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand(0, zookeeper=zookeeper.url("/standby"), session_timeout=SESSION_S)
    electorate.replicas[0].call("wait_leading")
    electorate.stand(1, zookeeper=zookeeper.url("/standby"), session_timeout=SESSION_S)
    electorate.replicas[1].call("expire_session")
    electorate.wait_candidates(0, ["green", "red"])
    electorate.replicas[0].kill()
    electorate.wait_leader(1)


def test_a_leader_that_is_deposed_past_the_election_gives_it_up_and_stands_again(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand_all(zookeeper=zookeeper.url("/deposed"))
    outsider = electorate.replicas[2]
    outsider.call("close_candidate")
    outsider.call("lead")  # the log asks nobody whether it was elected
    heir = electorate.wait_epoch(0, 1, epoch=3)
    [_, standby] = electorate.replicas[0].call("events")[:2]
    assert standby["kind"] == "standby"
    assert "did not acknowledge" in standby["reason"]
    electorate.replicas[heir].call("script", statements=["CREATE TABLE t (a)"])


def test_a_reign_whose_services_do_not_start_ends_and_another_one_leads(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand(0, zookeeper=zookeeper.url("/services"), fail_on_leading=True)
    electorate.wait_events(0, 2)
    electorate.stand(1, zookeeper=zookeeper.url("/services"))
    electorate.wait_leader(1)
    first, second = electorate.replicas[0].call("events")[:2]
    assert (first["kind"], second["kind"]) == ("leading", "standby")
    assert "the services do not start" in second["reason"]


def test_callbacks_come_in_order_from_one_thread(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand_all(zookeeper=zookeeper.url("/order"))
    for to in ("green", "red", "green", "red"):
        electorate.replicas[electorate.wait_leader(0, 1)].call("transfer", to=to)
    electorate.wait_leader(0)
    events = electorate.replicas[0].call("events")
    assert [event["kind"] for event in events] == ["leading", "standby"] * 2 + ["leading"]
    assert len({event["thread"] for event in events}) == 1


def test_a_replica_that_has_not_read_the_log_yet_does_not_stand(
    workers: ExitStack, tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    worker = spawn_store(
        workers, directory=str(tmp_path / "log"), address=addresses[0], peers=addresses
    )  # alone it cannot recover
    worker.call("stand", name="red", zookeeper=zookeeper.url("/opening"))
    with pytest.raises(WorkerError, match=r"WaitTimeout.*still reads the log"):
        worker.call("wait_leading", timeout=1.0)
    assert worker.call("leader") is None


def test_a_replica_that_has_failed_does_not_stand(
    workers: ExitStack, tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    write_foreign_entry(workers, tmp_path / "log")
    worker = spawn_store(workers, directory=str(tmp_path / "log"))
    worker.call("stand", name="red", zookeeper=zookeeper.url("/failed"))
    with pytest.raises(WorkerError, match=r"WaitTimeout.*has failed.*foreign entry"):
        worker.call("wait_leading", timeout=1.0)
    assert worker.call("leader") is None
    assert worker.call("events") == []


def test_one_that_is_elected_without_a_quorum_of_the_log_lets_others_try_and_tries_again(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.replicas[0].kill()
    electorate.replicas[1].kill()
    electorate.stand(2, zookeeper=zookeeper.url("/quorum"), lead_timeout=0.5)
    status = electorate.wait_state(2, "standby", reason="elected, but cannot lead")
    assert status["reigns"] == 0
    assert electorate.replicas[2].call("events") == []
    electorate.restart(0)
    electorate.wait_leader(2)


def test_closing_the_store_ends_the_candidate(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    electorate.stand_all(zookeeper=zookeeper.url("/closed"), session_timeout=20.0)
    electorate.replicas[0].call("close")
    assert electorate.wait_state(0, "closed")["reason"] == "the store was closed"
    electorate.wait_leader(1, 2)


def test_credentials_guard_the_election_and_appear_nowhere(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    url = zookeeper.url("/guarded/election", "aurora:secret")
    electorate.stand(0, zookeeper=url)
    electorate.replicas[0].call("wait_leading")
    with client(zookeeper) as kazoo:
        for path in ("/guarded", "/guarded/election", "/guarded/election/leader"):
            acls, _ = kazoo.get_acls(path)
            rights = {(acl.id.scheme, tuple(acl.acl_list)) for acl in acls}
            assert rights == {("digest", ("ALL",)), ("world", ("READ",))}
    for wrong in ("aurora:wrong", None):
        with pytest.raises(WorkerError, match=r"ElectionUnavailable.*rights"):
            electorate.stand(1, zookeeper=zookeeper.url("/guarded/election", wrong))
    shown = electorate.replicas[0].call("representation")
    assert "zk://...@127.0.0.1" in shown
    said = "".join(replica.stderr() for replica in electorate.replicas)
    assert "leading" in said, "the candidate's own log lines are missing"
    assert "secret" not in shown + said
    assert "wrong" not in said


def test_an_unreachable_zookeeper_is_named_within_the_limit(electorate: Electorate) -> None:
    [port] = free_ports(1)
    with pytest.raises(WorkerError, match="ElectionUnavailable.*cannot be reached within 1 s"):
        electorate.stand(0, zookeeper=f"zk://127.0.0.1:{port}/election", answer_timeout=1.0)


def test_something_foreign_in_the_place_of_the_leader_is_named(
    electorate: Electorate, zookeeper: ZooKeeperServer
) -> None:
    with client(zookeeper) as kazoo:
        kazoo.create("/foreign/leader", b"[]", makepath=True)
        electorate.stand(0, zookeeper=zookeeper.url("/foreign"))
        with pytest.raises(WorkerError, match=r"ElectionUnavailable.*/foreign/leader"):
            electorate.replicas[0].call("leader")
        kazoo.delete("/foreign/leader")
    electorate.replicas[0].call("wait_leading")


def test_what_could_not_be_started_can_be_started_later(zookeeper: ZooKeeperServer) -> None:
    election = ZooKeeperElection(zookeeper.url("/later"), member=Member("red"), timeout=1.0)
    zookeeper.stop()
    try:
        with pytest.raises(ElectionUnavailable):
            election.start(lambda: None)
    finally:
        zookeeper.start()
    end = time.monotonic() + 60.0
    while True:
        try:
            election.start(lambda: None)
            break
        except ElectionUnavailable:  # it runs, but a busy machine may take longer than a second
            assert time.monotonic() < end
    try:
        assert [each.name for each in election.candidates()] == ["red"]
        assert election.leader() is None
    finally:
        election.close()
    with pytest.raises(ElectionUnavailable, match="closed"):
        election.candidates()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transfer", b"no JSON"),
        ("transfer", b'{"id": 1}'),
        ("transfer", b'{"id": "1", "to": null, "timeout": "soon", "position": null}'),
        ("ready", b'{"id": null}'),
    ],
)
def test_what_a_stranger_writes_into_an_election_without_credentials_does_no_harm(
    workers: ExitStack, tmp_path: Path, zookeeper: ZooKeeperServer, name: str, value: bytes
) -> None:
    worker = spawn_store(workers, directory=str(tmp_path / "log"))
    path = f"/stranger-{tmp_path.name}"
    with client(zookeeper) as kazoo:
        kazoo.create(f"{path}/{name}", value, makepath=True)
        worker.call("stand", name="red", zookeeper=zookeeper.url(path))
        worker.call("wait_leading")
        kazoo.set(f"{path}/{name}", value)
        worker.call("script", statements=["CREATE TABLE t (a)"])
        assert worker.call("candidate_status")["state"] == "leading"
