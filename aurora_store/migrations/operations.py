"""What revisions do beside Alembic's operations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import op
from alembic.operations.base import BatchOperations
from sqlalchemy import text

__all__ = ["execute_file", "rebuilt"]

_TABLE = text("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = :table")
_TRIGGERS = text("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = :table")


@contextmanager
def rebuilt(table: str, **options: Any) -> Iterator[BatchOperations]:
    """Alembic's `op.batch_alter_table`, with the table's triggers made again after it.

    For what SQLite's ALTER TABLE cannot do. Alembic copies the rows into a new table and drops the
    old one, and its triggers with it. Those of other tables may name this one. Where a trigger
    names a column that is to go, drop the trigger before.

    Args:
        options: those of `batch_alter_table`.

    Raises:
        ValueError: there is no table of that name, to the letter: Alembic would lose half of it.
    """
    if op.get_bind().scalar(_TABLE, {"table": table}) is None:
        raise ValueError(f"there is no table {table} to rebuild")
    triggers = list(op.get_bind().scalars(_TRIGGERS, {"table": table}))
    # The new table gets its name while there is none of that name: SQLite would not have the
    # triggers of others that name it.
    op.get_bind().exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        with op.batch_alter_table(table, **options) as batch:
            yield batch
    finally:
        op.get_bind().exec_driver_sql("PRAGMA legacy_alter_table = OFF")
    for sql in triggers:
        op.get_bind().exec_driver_sql(sql)


def execute_file(path: Path) -> None:
    """Executes the statements of an SQL file. Each begins on a line of its own."""
    statement = ""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            op.get_bind().exec_driver_sql(statement.strip())
            statement = ""
    if statement.strip():
        raise ValueError(f"{path} ends within a statement: {statement.strip()}")
