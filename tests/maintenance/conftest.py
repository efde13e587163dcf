"""Stores with policies, in processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from upkept import Upkept  # noqa: E402


@pytest.fixture
def workers() -> Iterator[ExitStack]:
    """Ends every process at the end of a test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def upkept(workers: ExitStack, tmp_path: Path) -> Callable[..., Upkept]:
    """Makes three replicas with policies, of which the first leads."""

    def make(**policies: int | None) -> Upkept:
        made = Upkept(workers, tmp_path, **policies)
        made.replicas[0].call("lead")
        return made

    return make
