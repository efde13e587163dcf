"""A master for the tests of a module, and frameworks that end with a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from memory_stores import MemoryEnsemble
from mesos_cluster import mesos_cluster
from schedulers import Make, Watched

from aurora_store import Store
from aurora_store.dev import MesosCluster
from aurora_store.election import HeartbeatElection, Member
from aurora_store.errors import StoreError
from aurora_store.framework import Framework


@pytest.fixture(scope="module")
def cluster() -> Iterator[MesosCluster]:
    """A master and an agent, for all tests of a module."""
    with mesos_cluster() as running:
        yield running


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test began."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def ensemble(stack: ExitStack) -> MemoryEnsemble:
    """Of stores in this process."""
    return MemoryEnsemble(stack)


@pytest.fixture
def store(ensemble: MemoryEnsemble) -> Store:
    """One of them."""
    return ensemble.open("one:1")


@pytest.fixture
def make(stack: ExitStack, cluster: MesosCluster, request: pytest.FixtureRequest) -> Make:
    """Makes a framework named as the test, not started yet; Mesos forgets it afterwards."""

    def made(store: Store, scheduler: Watched, **options: Any) -> Framework:
        info = {"name": request.node.name, "user": "nobody"} | options.pop("info", {})
        options = {"master": cluster.master, "registration_timeout": 20.0} | options
        election = options.pop("election", None) or HeartbeatElection(
            store, member=Member(store.host, store.host)
        )
        framework = Framework(store, election, scheduler, info=info, **options)
        stack.callback(_tear_down, framework)
        return framework

    return made


def _tear_down(framework: Framework) -> None:
    with suppress(StoreError):  # it does not lead
        framework.driver.stop(failover=False)
    framework.close()
