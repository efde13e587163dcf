"""One cluster for the tests that only use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mesos_cluster import mesos_cluster

from aurora_store.dev import MesosCluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[MesosCluster]:
    """A master and two agents, for all tests of a module."""
    with mesos_cluster(agents=2) as running:
        yield running
