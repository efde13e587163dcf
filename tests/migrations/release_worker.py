"""A small scheduler on one replica, in a process of its own, with the release that it imports."""

from __future__ import annotations

import itertools
import os
import threading
from typing import Any

import recount
from schema_text import READ_SCHEMA
from sqlalchemy import Connection

import aurora_store
from aurora_store import Store, events, models
from aurora_store.errors import StoreError
from aurora_store.events import Events
from aurora_store.migrations import Schema
from aurora_store.models import (
    JobKey,
    Resources,
    ScheduleStatus,
    StateChangeResult,
    StateManager,
    Stores,
    TaskConfig,
    TaskQuery,
)

S = ScheduleStatus
_JOB = JobKey("farm", "prod", "web")
_CONFIG = TaskConfig(_JOB, "alice", Resources(0.5, 128, 64))
_TOPIC = "farm.task"
_LINES = ("tried", "done")
_WAYS = (
    (S.PENDING, S.ASSIGNED, S.STARTING, S.RUNNING),
    (S.PENDING, S.ASSIGNED, S.STARTING, S.RUNNING, S.FINISHED),
    (S.PENDING, S.ASSIGNED, S.KILLING, S.KILLED),
    (S.PENDING,),
)

_store: Store | None = None
_stopping = threading.Event()
_writers: list[threading.Thread] = []


def _opened() -> Store:
    assert _store is not None
    return _store


def open_store(revisions: str, **options: Any) -> str:
    """Returns the version of the package."""
    global _store
    version = aurora_store.__version__
    schema = Schema(models.REVISIONS, events.REVISIONS, revisions, software=f"farm of {version}")
    _store = Store.open(schema=schema, **options)
    return version


def catch_up() -> None:
    _opened().wait_caught_up()


def lead() -> None:
    _opened().lead()


def wait_for(position: int) -> None:
    _opened().wait_for(position)


def status() -> dict[str, Any]:
    now = _opened().status()
    return {
        "state": now.state.value,
        "position": int(now.position),
        "epoch": now.epoch,
        "version": now.version,
    }


def checksums() -> list[int]:
    return list(_opened().verify_checksum())


def standing() -> str:
    migrator = _opened().migrator
    assert migrator is not None
    return migrator.verdict().standing.value


def downgrade(to: str, lead: bool = False) -> list[str]:
    return [each.revision for each in _opened().downgrade(to, lead=lead)]


def release() -> list[str]:
    migrator = _opened().migrator
    assert migrator is not None
    return [each.revision for each in migrator.release()]


def close() -> None:
    _opened().close()


# ---- load ----


def start_load(history: str, first: int) -> None:
    """Takes instances first, first + 1 ... through their statuses, until stopped or refused.

    Each change is a transaction. The file `history` has a line before it, and one when it was
    acknowledged; it survives kill -9.
    """
    file = os.open(history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    instances = itertools.count(first)

    def write() -> None:
        try:
            while not _stopping.is_set():
                instance = next(instances)  # one step of C: no lock
                name = ""
                for status in _WAYS[instance % len(_WAYS)]:
                    tried, done = (f"{instance} {status.name} {each}\n" for each in _LINES)
                    os.write(file, tried.encode())
                    name = _change(name, instance, status)
                    os.write(file, done.encode())
        except StoreError:
            return

    _stopping.clear()
    _writers[:] = [threading.Thread(target=write, daemon=True) for _ in range(2)]
    for writer in _writers:
        writer.start()


def fill(history: str, first: int, count: int) -> None:
    """Makes so many tasks in one transaction."""
    instances = range(first, first + count)
    with _opened().begin() as connection:
        StateManager(Stores(connection)).insert_pending(_CONFIG, instances)
        for instance in instances:
            Events(_opened()).publish(connection, _TOPIC, [instance, S.PENDING.name])
        _count(connection, S.PENDING, count)
    with open(history, "a") as file:
        file.writelines(f"{instance} PENDING {what}\n" for instance in instances for what in _LINES)


def _change(name: str, instance: int, status: ScheduleStatus) -> str:
    """Gives a task a status, all that tells of it in the same transaction; returns its id."""
    with _opened().begin() as connection:
        manager = StateManager(Stores(connection))
        if status is S.PENDING:
            (name,) = manager.insert_pending(_CONFIG, [instance])
        elif status is S.ASSIGNED:
            host = f"host-{instance % 7}"
            assert manager.assign(name, host, f"agent-{host}").result is StateChangeResult.SUCCESS
        else:
            changed = manager.change_state(name, status)
            assert changed.result is StateChangeResult.SUCCESS, changed
        Events(_opened()).publish(connection, _TOPIC, [instance, status.name])
        _count(connection, status, 1)
    return name


def _count(connection: Connection, status: ScheduleStatus, tasks: int) -> None:
    connection.exec_driver_sql(
        "INSERT INTO handled VALUES (?1, ?2) ON CONFLICT DO UPDATE SET tasks = tasks + ?2",
        (status.name, tasks),
    )


def stop_load() -> None:
    _stopping.set()
    for writer in _writers:
        writer.join(30)
        assert not writer.is_alive()


# ---- what is there ----


def contents() -> dict[str, Any]:
    """All that the load wrote, after a look at what the database counts."""
    with _opened().read() as connection:
        stores = Stores(connection)
        tasks = stores.tasks.fetch_tasks(TaskQuery())
        recount.check(stores, tasks)
        assert recount.orphans(stores) == {}
        for task in tasks:
            assert task.status is task.events[-1].status
        told = Events(_opened()).read(connection, after=0, limit=1_000_000)
        return {
            "tasks": {task.instance: [each.status.name for each in task.events] for task in tasks},
            "told": [each.body for each in told if each.topic == _TOPIC],
            "handled": dict(map(tuple, connection.exec_driver_sql("SELECT * FROM handled"))),
        }


def zones() -> list[str]:
    """What the compatible revision of the future has filled in."""
    with _opened().read() as connection:
        rows = connection.exec_driver_sql("SELECT DISTINCT zone FROM task WHERE zone IS NOT NULL")
        return sorted(zone for (zone,) in rows)


def schema_rows() -> list[list[str]]:
    with _opened().read() as connection:
        return [list(row) for row in connection.exec_driver_sql(READ_SCHEMA)]
