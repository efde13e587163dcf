"""Replicas with monitoring servers, each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Worker
from monitored import Monitored, spawn_store  # noqa: E402
from revision_files import FIRST, write


@pytest.fixture(scope="module")
def module_workers() -> Iterator[ExitStack]:
    """Ends every process at the end of a module."""
    with ExitStack() as stack:
        yield stack


def _leading(workers: ExitStack, directory: Path) -> Worker:
    revisions = str(write(directory / "revisions", [FIRST]))
    worker = spawn_store(workers, directory=str(directory / "log"), revisions=revisions)
    worker.call("catch_up")
    worker.call("lead")
    return worker


@pytest.fixture
def single(workers: ExitStack, tmp_path: Path) -> Worker:
    """A store of one replica, with a schema, leading; no server yet."""
    return _leading(workers, tmp_path)


@pytest.fixture(scope="module")
def shared(module_workers: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """The same, for tests that only look at it. Each starts a server of its own."""
    return _leading(module_workers, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def monitored(workers: ExitStack, tmp_path: Path) -> Monitored:
    """Three replicas; nobody leads."""
    return Monitored(workers, tmp_path)
