"""SQLAlchemy on a store: a driver of SQLAlchemy's own sqlite dialect, `sqlite+aurora`.

Because the dialect's name stays `sqlite`, everything written for SQLite works unchanged:
`insert(...).on_conflict_do_update`, `sqlite_where=`, `@compiles(..., "sqlite")`, Alembic's batch
mode.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.dialects import registry

from aurora_store.driver import StoreHandle

__all__ = ["create_engine"]


def create_engine(
    store: StoreHandle | str, *, read_only: bool = False, **options: Any
) -> sqlalchemy.Engine:
    """An engine on an opened store.

    Every transaction of an engine that is not read-only waits in line for the one write lock, even
    if it only reads: read through a read-only engine.

    Args:
        store: its handle, or the name it was registered by.
        read_only: transactions see what is durable, never wait for writers, and cannot write.
        options: of `sqlalchemy.create_engine` (`pool_size`, `max_overflow`, `echo` ...).
    """
    registry.register("sqlite.aurora", "aurora_store.dialect.base", "SQLiteDialect_aurora")
    arguments = {**options.pop("connect_args", {}), "store": store, "read_only": read_only}
    return sqlalchemy.create_engine("sqlite+aurora://", connect_args=arguments, **options)
