"""Stores in processes of their own, for snapshots: on the helpers of `tests/store`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Worker

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from stores import Cluster, spawn_store  # noqa: E402


@pytest.fixture
def workers() -> Iterator[ExitStack]:
    """Ends every process at the end of a test."""
    with ExitStack() as stack:
        yield stack


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
