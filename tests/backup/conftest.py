"""A leading store on the test double of a replicated log, and one on the real one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Worker
from memory_stores import MemoryEnsemble
from stores import spawn_store

from aurora_store import Store

_ROWS = (
    "INSERT INTO t (body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    " WHERE i < 1000) SELECT printf('row %d of many', i) FROM n"
)


@pytest.fixture
def store(ensemble: MemoryEnsemble) -> Store:
    """One that leads, with a thousand rows."""
    leader = ensemble.open("one:1")
    leader.lead()
    with leader.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
        connection.exec_driver_sql("PRAGMA user_version = 7")
        connection.exec_driver_sql(_ROWS)
    return leader


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[Worker]:
    """The same on the real log, in a process of its own; its log directory is ``log``."""
    with ExitStack() as stack:
        worker = spawn_store(stack, directory=str(tmp_path / "log"))
        worker.call("catch_up")
        worker.call("lead")
        worker.call(
            "script",
            statements=[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)",
                "PRAGMA user_version = 7",
                _ROWS,
            ],
        )
        yield worker
