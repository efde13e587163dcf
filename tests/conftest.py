"""What all folders of tests share. That this file is here makes ``harness`` importable in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from memory_stores import MemoryEnsemble


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests run in one process, and so do all of the cluster, which share names."""
    for item in items:
        group = "cluster" if item.path.parent.name == "cluster" else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def workers() -> Iterator[ExitStack]:
    """Ends every process at the end of a test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def ensemble() -> Iterator[MemoryEnsemble]:
    """Of stores in this process, on the test double of a replicated log."""
    with ExitStack() as stack:
        yield MemoryEnsemble(stack)
