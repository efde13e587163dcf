"""A store on the test double of a replicated log that listens to control in a real directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from memory_stores import MemoryEnsemble

from aurora_store import Store
from aurora_store.control import ControlServer


@pytest.fixture
def store(ensemble: MemoryEnsemble, tmp_path: Path) -> Store:
    """One of them; not leading."""
    opened = ensemble.open("one:1")
    opened.log.directory = tmp_path
    return opened


@pytest.fixture
def server(store: Store) -> Iterator[ControlServer]:
    """Listens for it."""
    running = ControlServer(store)
    yield running
    running.close()
