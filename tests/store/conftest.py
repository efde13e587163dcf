"""Stores in processes of their own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Worker
from stores import Cluster, spawn_store


@pytest.fixture
def leader(workers: ExitStack, tmp_path: Path) -> Worker:
    """A store of one replica, leading."""
    worker = spawn_store(workers, directory=str(tmp_path / "log"))
    worker.call("catch_up")
    worker.call("lead")
    return worker


@pytest.fixture
def cluster(workers: ExitStack, tmp_path: Path) -> Cluster:
    """A store of three replicas; nobody leads."""
    return Cluster(workers, tmp_path)
