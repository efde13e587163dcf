"""A leading store on a log in memory, and engines on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy
from memory_store import MemoryStore

from aurora_store.dialect import create_engine


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """A store that leads."""
    memory_store = MemoryStore()
    memory_store.lead()
    yield memory_store
    memory_store.close()


@pytest.fixture
def engine(store: MemoryStore) -> Iterator[sqlalchemy.Engine]:
    """An engine that writes."""
    writing = create_engine(store.handle)
    yield writing
    writing.dispose()


@pytest.fixture
def reader(store: MemoryStore) -> Iterator[sqlalchemy.Engine]:
    """An engine that only reads."""
    reading = create_engine(store.handle, read_only=True)
    yield reading
    reading.dispose()
