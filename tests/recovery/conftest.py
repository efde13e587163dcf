"""A leading store on the test double of a replicated log."""

from __future__ import annotations

import pytest
from memory_stores import MemoryEnsemble

from aurora_store import Store


@pytest.fixture
def store(ensemble: MemoryEnsemble) -> Store:
    """One that leads, with a thousand rows."""
    leader = ensemble.open("one:1", append_timeout=1.0)
    leader.lead()
    with leader.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
        connection.exec_driver_sql(
            "INSERT INTO t (body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 1000) SELECT printf('row %d of many', i) FROM n"
        )
    return leader
