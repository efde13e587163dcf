"""The master is found in ZooKeeper, where Mesos's own would have written who leads."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from kazoo.client import KazooClient
from schedulers import Make, Watched, wait, wait_state
from zookeeper_server import ZooKeeperServer, running_zookeeper

from aurora_store import Store
from aurora_store.dev import MesosCluster


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperServer]:
    """A server for the tests of this module."""
    with running_zookeeper(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server


@pytest.fixture
def client(zookeeper: ZooKeeperServer) -> Iterator[KazooClient]:
    """Writes as masters do."""
    client = KazooClient(f"127.0.0.1:{zookeeper.port}")
    client.start()
    yield client
    client.stop()
    client.close()


def elect(client: KazooClient, path: str, address: str) -> str:
    """As a master that was elected."""
    host, port = address.split(":")
    info = {"address": {"ip": host, "port": int(port)}}
    made = client.create(f"{path}/json.info_", json.dumps(info).encode(), sequence=True)
    return str(made)


def test_master_is_found_lost_and_found_again(
    store: Store, make: Make, cluster: MesosCluster, zookeeper: ZooKeeperServer, client: KazooClient
) -> None:
    client.ensure_path("/one")
    client.create("/one/log_replicas", b"")
    framework = make(store, Watched(), master=zookeeper.url("/one"), registration_timeout=60.0)
    framework.start()
    wait_state(framework, "registering")
    none = f"no master is elected at {zookeeper.url('/one')}"
    wait(lambda: framework.status.problem == none, "it says that there is none")
    first = elect(client, "/one", cluster.master)
    framework.wait_active()
    assert framework.status.master == cluster.master
    framework_id = framework.status.framework_id
    client.delete(first)
    wait(lambda: framework.status.problem == none, "it is gone")
    elect(client, "/one", cluster.master)
    wait(lambda: framework.status.master == cluster.master, "it is found again")
    assert framework.status.framework_id == framework_id
    assert framework.status.reigns == 1


def test_zookeeper_that_cannot_be_reached_ends_the_reign_with_a_message(
    store: Store, make: Make
) -> None:
    framework = make(store, Watched(), master="zk://127.0.0.1:1/mesos")
    framework.start()
    wait_state(framework, "registering")
    wait_state(framework, "standby")
    assert "cannot look up the Mesos master at zk://127.0.0.1:1/mesos" in framework.status.reason
