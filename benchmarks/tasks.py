"""The database of the benchmarks: tasks of a scheduler, and events of theirs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

_BATCH = 1000

TABLES = (
    "CREATE TABLE task (id INTEGER PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL,"
    " host TEXT, at INTEGER NOT NULL, config TEXT NOT NULL)",
    "CREATE TABLE event (id INTEGER PRIMARY KEY, task INTEGER NOT NULL, at INTEGER NOT NULL,"
    " status TEXT NOT NULL)",
)
INSERT_TASK = "INSERT INTO task VALUES (?, ?, ?, ?, ?, ?)"
UPDATE = "UPDATE task SET status = ?, at = ? WHERE id = ?"
INSERT = "INSERT INTO event (task, at, status) VALUES (?, ?, ?)"
UPDATE_TIME = "UPDATE task SET at = ? WHERE id = ?"
UPDATE_NAMED = "UPDATE task SET status = :status, at = :at WHERE id = :id"
INSERT_NAMED = "INSERT INTO event (task, at, status) VALUES (:id, :at, :status)"
SELECT = "SELECT status FROM task WHERE id = ?"

_STATUSES = ("PENDING", "ASSIGNED", "STARTING", "RUNNING", "FINISHED", "FAILED", "LOST")


def status_of(number: int) -> str:
    """One of the statuses that a task can have."""
    return _STATUSES[number % len(_STATUSES)]


def now_ms() -> int:
    """As long in a record as the times that `row` gives."""
    return time.time_ns() // 1_000_000


def row(number: int) -> tuple[Any, ...]:
    """A task, of about 250 bytes."""
    digest = random.Random(number).randbytes(80).hex()
    return (
        number,
        f"www-data/prod/service-{number % 997}/{number}",
        status_of(number),
        f"agent-{number % 4096:05}.example.org",
        1_700_000_000_000 + number,
        digest,
    )


def fill(connection: Any, rows: int) -> None:
    """Makes the tables and `rows` tasks, many to a transaction."""
    connection.execute("BEGIN")
    for table in TABLES:
        connection.execute(table)
    connection.commit()
    for first in range(1, rows + 1, _BATCH):
        connection.execute("BEGIN")
        batch = [row(number) for number in range(first, min(first + _BATCH, rows + 1))]
        connection.cursor().executemany(INSERT_TASK, batch)
        connection.commit()


def picker(seed: int, rows: int) -> Callable[[], int]:
    """Tasks at random."""
    generator = random.Random(seed)
    return lambda: generator.randint(1, rows)


def change(connection: Any, task: int) -> None:
    """The transaction that is measured: a task changes its status, and an event tells of it."""
    at = now_ms()
    status = status_of(at)
    connection.begin()
    connection.execute(UPDATE, (status, at, task))
    connection.execute(INSERT, (task, at, status))
    connection.commit()
