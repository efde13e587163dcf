"""Stores with policies, in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from upkept import Upkept  # noqa: E402


@pytest.fixture
def upkept(workers: ExitStack, tmp_path: Path) -> Callable[..., Upkept]:
    """Makes three replicas with policies, of which the first leads."""

    def make(**policies: int | None) -> Upkept:
        made = Upkept(workers, tmp_path, **policies)
        made.replicas[0].call("lead")
        return made

    return make
