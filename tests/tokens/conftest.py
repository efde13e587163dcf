"""Stores on the test double of a replicated log."""

from __future__ import annotations

import pytest
from memory_stores import MemoryEnsemble
from sqlalchemy import text

from aurora_store import Store


@pytest.fixture
def store(ensemble: MemoryEnsemble) -> Store:
    """One that leads, with a table."""
    leader = ensemble.open("one:1")
    leader.lead()
    with leader.begin() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
    return leader
