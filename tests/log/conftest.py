"""Replicas of a log in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import Worker, spawn
from replicas import Ensemble, SpawnReplica
from zookeeper_server import ZooKeeperServer, running_zookeeper

from aurora_store.libmesos import fetch

_WORKER = Path(__file__).with_name("log_worker.py")


@pytest.fixture(scope="session")
def libmesos_path() -> Path:
    """The real library."""
    return fetch()


@pytest.fixture
def spawn_replica(libmesos_path: Path) -> Iterator[SpawnReplica]:
    """Starts a process; opens a log in it if there are options for one."""
    with ExitStack() as workers:

        def spawn_one(**options: Any) -> Worker:
            environment = {"AURORA_STORE_LIBMESOS": str(libmesos_path)}
            worker = workers.enter_context(spawn(_WORKER, environment))
            if options:
                worker.call("open_log", **options)
            return worker

        yield spawn_one


@pytest.fixture
def replica(spawn_replica: SpawnReplica, tmp_path: Path) -> Worker:
    """A log of one replica, elected."""
    worker = spawn_replica(directory=str(tmp_path / "log"))
    worker.call("elect")
    return worker


@pytest.fixture
def ensemble(spawn_replica: SpawnReplica, tmp_path: Path) -> Ensemble:
    """Three replicas; none is elected."""
    return Ensemble(spawn_replica, tmp_path)


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperServer]:
    """A server that the tests of a module share; each uses a path of its own."""
    with running_zookeeper(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server
