"""A store of one replica in a process of its own: the functions that the tests here call in it."""

from __future__ import annotations

import random

from sqlalchemy import text

from aurora_store import Store
from aurora_store.record import read_record

_stores: list[Store] = []


def open_store(directory: str) -> None:
    """Opens it, makes it lead, and makes its tables."""
    store = Store.open(directory, host="scheduler-1")
    _stores.append(store)
    store.wait_caught_up()
    store.lead()
    with store.begin() as connection:
        for statement in (
            "CREATE TABLE IF NOT EXISTS task (id INTEGER PRIMARY KEY, state TEXT, data BLOB)",
            "CREATE TABLE IF NOT EXISTS host (name TEXT PRIMARY KEY)",
        ):
            connection.execute(text(statement))


def write(count: int, size: int = 100) -> int:
    """So many transactions with that many random bytes each; returns a position with the last."""
    (store,) = _stores
    for _ in range(count):
        with store.begin() as connection:
            connection.execute(
                text("INSERT INTO task (state, data) VALUES ('RUNNING', :data)"),
                {"data": random.randbytes(size)},
            )
    return int(store.position)


def lead_again() -> None:
    """A new reign."""
    (store,) = _stores
    store.step_down()
    store.lead()


def snapshot() -> int:
    """Takes a snapshot; returns where it begins."""
    (store,) = _stores
    return int(store.snapshot(timeout=30.0).position)


def newest_snapshot() -> int:
    """Where the newest complete one begins, by the newest entry."""
    (store,) = _stores
    newest = store.log.read(store.position, store.position)
    return read_record(newest[-1].data).snapshot if newest else 0


def truncate(to: int) -> None:
    """Forgets what is before `to`."""
    (store,) = _stores
    store.truncate(to)


def close() -> None:
    """Steps down, so that all is on the disk."""
    (store,) = _stores
    store.step_down()
    store.close()
