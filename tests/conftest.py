"""What all folders of tests share. That this file is here makes ``harness`` importable in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from memory_stores import MemoryEnsemble
from release_stores import Releases


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


@pytest.fixture
def releases(ensemble: MemoryEnsemble, tmp_path: Path) -> Releases:
    """Of a scheduler, as stores on that ensemble."""
    return Releases(ensemble, tmp_path)
