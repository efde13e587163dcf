"""Stores that stand for election, each in a process of its own, and a ZooKeeper for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from electorate import Electorate  # noqa: E402
from zookeeper_server import ZooKeeperServer, running_zookeeper


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperServer]:
    """A server that the tests of a module share; each uses a path of its own."""
    with running_zookeeper(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server


@pytest.fixture
def electorate(workers: ExitStack, tmp_path: Path) -> Electorate:
    """Three replicas; none stands yet."""
    return Electorate(workers, tmp_path)
