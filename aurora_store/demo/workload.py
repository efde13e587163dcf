"""What a scheduler keeps in its store, and the transaction that each event is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from aurora_store.demo.trace import CREATED, SCHEDULED, Event, Trace

__all__ = ["apply", "create", "found", "inspect"]

_SCHEMA = (
    """CREATE TABLE host (
        name TEXT PRIMARY KEY,
        cpu_milli INTEGER NOT NULL, memory_mib INTEGER NOT NULL, gpu_milli INTEGER NOT NULL,
        cpu_free INTEGER NOT NULL CHECK (cpu_free BETWEEN 0 AND cpu_milli),
        memory_free INTEGER NOT NULL CHECK (memory_free BETWEEN 0 AND memory_mib),
        gpu_free INTEGER NOT NULL CHECK (gpu_free BETWEEN 0 AND gpu_milli)
    ) WITHOUT ROWID""",
    "CREATE INDEX host_by_free ON host (gpu_free, cpu_free, memory_free)",
    """CREATE TABLE task (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        cpu_milli INTEGER NOT NULL, memory_mib INTEGER NOT NULL, gpu_milli INTEGER NOT NULL,
        qos TEXT NOT NULL,
        status TEXT NOT NULL,
        host TEXT REFERENCES host (name)
    )""",
    """CREATE TABLE task_event (
        id INTEGER PRIMARY KEY,
        task INTEGER NOT NULL REFERENCES task (id),
        kind TEXT NOT NULL,
        time INTEGER NOT NULL,
        UNIQUE (task, kind)
    )""",
)
_ADD_HOST = text("INSERT INTO host VALUES (:name, :cpu, :memory, :gpu, :cpu, :memory, :gpu)")
_ADD_TASK = text("INSERT INTO task VALUES (:id, :name, :cpu, :memory, :gpu, :qos, 'pending', NULL)")
_ADD_EVENT = text("INSERT INTO task_event VALUES (:id, :task, :kind, :time)")
_BEST_FIT = text(
    "SELECT name FROM host WHERE gpu_free >= :gpu AND cpu_free >= :cpu AND memory_free >= :memory"
    " ORDER BY gpu_free, cpu_free, memory_free, name LIMIT 1"
)
_TAKE = text(
    "UPDATE host SET cpu_free = cpu_free - :cpu, memory_free = memory_free - :memory,"
    " gpu_free = gpu_free - :gpu WHERE name = :host"
)
_PLACE = text("UPDATE task SET status = 'running', host = :host WHERE id = :id")
_HOST_OF = text("SELECT host FROM task WHERE id = :id")
_FINISH = text("UPDATE task SET status = :status, host = NULL WHERE id = :id")
_FOUND = text("SELECT 1 FROM task_event WHERE id = :id")
_WRONG_ACCOUNTS = text(
    "SELECT count(*) FROM host LEFT JOIN ("
    " SELECT host, sum(cpu_milli) AS cpu, sum(memory_mib) AS memory, sum(gpu_milli) AS gpu"
    " FROM task WHERE host IS NOT NULL GROUP BY host) AS used ON used.host = host.name"
    " WHERE cpu_free + coalesce(cpu, 0) <> cpu_milli"
    " OR memory_free + coalesce(memory, 0) <> memory_mib"
    " OR gpu_free + coalesce(gpu, 0) <> gpu_milli"
)


def create(connection: Connection, trace: Trace) -> None:
    """Makes the tables and the hosts, all of them free."""
    for statement in _SCHEMA:
        connection.execute(text(statement))
    rows = [
        {"name": host.name, "cpu": host.cpu_milli, "memory": host.memory_mib, "gpu": host.gpu_milli}
        for host in trace.hosts
    ]
    connection.execute(_ADD_HOST, rows)


def apply(connection: Connection, event: Event) -> None:
    """Does in one transaction what a scheduler does when it learns of an event."""
    task = event.task
    needs = {"cpu": task.cpu_milli, "memory": task.memory_mib, "gpu": task.gpu_milli}
    if event.kind == CREATED:
        known = {"id": task.id, "name": task.name, "qos": task.qos}
        connection.execute(_ADD_TASK, {**known, **needs})
    elif event.kind == SCHEDULED:
        host = connection.execute(_BEST_FIT, needs).scalar()
        if host is not None:  # otherwise it stays pending
            connection.execute(_TAKE, {**needs, "host": host})
            connection.execute(_PLACE, {"host": host, "id": task.id})
    else:
        host = connection.execute(_HOST_OF, {"id": task.id}).scalar()
        if host is not None:
            back = {name: -amount for name, amount in needs.items()}
            connection.execute(_TAKE, {**back, "host": host})
        connection.execute(_FINISH, {"status": task.phase.lower() or "finished", "id": task.id})
    row = {"id": event.id, "task": task.id, "kind": event.kind, "time": event.time}
    connection.execute(_ADD_EVENT, row)


def found(connection: Connection, event: Event) -> bool:
    """Whether an event's transaction is in the database already."""
    return connection.execute(_FOUND, {"id": event.id}).first() is not None


def inspect(connection: Connection) -> dict[str, Any]:
    """What the supervisor compares: event ids, rows per table, hosts whose accounts are wrong."""
    ids = connection.execute(text("SELECT id FROM task_event ORDER BY id")).scalars().all()
    rows = {
        table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()
        for table in ("host", "task", "task_event")
    }
    wrong = connection.execute(_WRONG_ACCOUNTS).scalar()
    return {"events": list(ids), "rows": rows, "wrong_accounts": wrong}
