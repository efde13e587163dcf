"""Stores of one replica, on the real log, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora_store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A leader."""
    with Store.open(tmp_path / "log", heartbeat=0) as store:
        store.wait_caught_up()
        store.lead()
        yield store
