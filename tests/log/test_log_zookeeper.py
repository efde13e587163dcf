"""Three replicas that meet in a real ZooKeeper."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness import Worker, WorkerError, free_ports
from kazoo.client import KazooClient
from kazoo.security import make_acl, make_digest_acl
from replicas import SpawnReplica, wait_until_recovered
from zookeeper_server import ZooKeeperServer

SESSION_TIMEOUT = 2.0


def start_three(spawn_replica: SpawnReplica, directory: Path, url: str) -> list[Worker]:
    workers = [
        spawn_replica(
            directory=str(directory / str(number)),
            quorum=2,
            zookeeper=url,
            auto_initialize=True,
            zookeeper_session_timeout=SESSION_TIMEOUT,
        )
        for number in range(3)
    ]
    wait_until_recovered(workers)
    return workers


@pytest.mark.parametrize("credentials", [None, "aurora:secret"], ids=["open", "digest"])
def test_replicas_find_each_other_and_survive_the_death_of_the_leader(
    spawn_replica: SpawnReplica,
    zookeeper: ZooKeeperServer,
    tmp_path: Path,
    credentials: str | None,
) -> None:
    url = zookeeper.url(f"/{'digest' if credentials else 'open'}/log", credentials)
    first, second, third = start_three(spawn_replica, tmp_path, url)
    first.call("elect")
    first.call("append_many", count=200)
    third.call("follow", name="follower")
    assert len(third.call("next_of", name="follower", count=200)) == 200
    first.kill()
    second.call("elect")
    assert len(second.call("stream")) == 200
    second.call("append", data="of the second")
    assert third.call("next_of", name="follower") == ["of the second"]
    assert second.call("close") < 5.0


def test_an_outage_of_zookeeper_does_not_stop_the_log(
    spawn_replica: SpawnReplica, tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    first, second, _ = start_three(spawn_replica, tmp_path, zookeeper.url("/outage"))
    first.call("elect")
    first.call("append", data="before")
    zookeeper.stop()
    try:
        first.call("append", data="meanwhile")
    finally:
        zookeeper.start()
    first.call("append", data="after")
    second.call("elect")
    assert [data for _, data in second.call("stream")] == ["before", "meanwhile", "after"]


def test_an_outage_longer_than_the_session_heals_by_itself(
    spawn_replica: SpawnReplica, tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    # Every group reconnects at once then, which needs all the threads that libprocess was given.
    first, _, _ = start_three(spawn_replica, tmp_path, zookeeper.url("/expired"))
    first.call("elect")
    first.call("append", data="before")
    zookeeper.stop()
    try:
        time.sleep(1.5 * SESSION_TIMEOUT)
        pending = first.start("append", data="meanwhile", timeout=25.0)
    finally:
        zookeeper.start()
    pending.result()
    assert [data for _, data in first.call("stream")] == ["before", "meanwhile"]


def test_credentials_that_lack_the_rights_are_refused_by_name(
    spawn_replica: SpawnReplica, tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    admin = KazooClient(hosts=f"127.0.0.1:{zookeeper.port}")
    admin.start()
    try:
        rights = [
            make_digest_acl("owner", "secret", all=True),
            make_acl("world", "anyone", read=True),
        ]
        admin.create("/guarded", acl=rights)
    finally:
        admin.stop()
        admin.close()
    worker = spawn_replica()
    for url in (zookeeper.url("/guarded/log", "owner:wrong"), zookeeper.url("/guarded/log")):
        with pytest.raises(WorkerError, match=r"LogUnavailable.*rights"):
            worker.call("open_log", directory=str(tmp_path / "log"), quorum=2, zookeeper=url)
    worker.call(
        "open_log",
        directory=str(tmp_path / "log"),
        quorum=2,
        zookeeper=zookeeper.url("/guarded/log", "owner:secret"),
    )


def test_a_member_that_libmesos_could_not_parse_is_refused_by_name(
    spawn_replica: SpawnReplica, tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    admin = KazooClient(hosts=f"127.0.0.1:{zookeeper.port}")
    admin.start()
    try:
        admin.create("/strange/0000000007", b"not a replica", makepath=True)
    finally:
        admin.stop()
        admin.close()
    with pytest.raises(WorkerError, match=r"LogUnavailable.*/strange/0000000007"):
        spawn_replica().call(
            "open_log",
            directory=str(tmp_path / "log"),
            quorum=2,
            zookeeper=zookeeper.url("/strange"),
        )


def test_an_unreachable_zookeeper_is_reported_within_the_limit(
    spawn_replica: SpawnReplica, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    with pytest.raises(WorkerError, match="LogUnavailable.*cannot be reached within 1 s"):
        spawn_replica().call(
            "open_log",
            limit=20.0,
            directory=str(tmp_path / "log"),
            quorum=2,
            zookeeper=f"zk://127.0.0.1:{port}/log",
            timeout=1.0,
        )


def test_a_process_that_libmesos_ends_says_why_and_with_which_code(
    spawn_replica: SpawnReplica, tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    worker = spawn_replica(
        directory=str(tmp_path / "log"), quorum=2, zookeeper=zookeeper.url("/fatal")
    )
    admin = KazooClient(hosts=f"127.0.0.1:{zookeeper.port}")
    admin.start()
    try:
        # What a foreign program might do after the checks.
        admin.create("/fatal/0000000099", b"not a replica", makepath=True)
        assert worker.wait() == 70
    finally:
        admin.stop()
        admin.close()
    assert "libmesos ended this process" in worker.stderr()
    assert "network.hpp" in worker.stderr()
