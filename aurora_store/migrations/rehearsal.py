"""Running revisions on an empty database in memory, to learn the SQL that undoes each of them.

The SQL goes into the database with the revision. It is learnt without rows, so it cannot depend on
them: a `downgrade()` that reads rows is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

from pysqlite3 import dbapi2
from sqlalchemy import Connection, StaticPool, create_engine, event
from sqlalchemy.exc import OperationalError

from aurora_store.migrations.revisions import Revision

__all__ = [
    "Beside",
    "Statement",
    "beside_tables",
    "empty_database",
    "learn_downgrades",
    "swept_away",
]

Statement = tuple[str, Any]
"""SQL, and its parameters: a list or a dictionary that JSON can hold."""

_OF_SCHEMA: Final = re.compile(
    r"\s*pragma\b|.*\bfrom\s+(?:\w+\.)?sqlite_(?:temp_)?(?:master|schema)\b", re.I | re.S
)


_DROPS: Final = re.compile(r"\s*drop\s+(?:index|trigger)\b", re.I)


@contextmanager
def empty_database() -> Iterator[Connection]:
    """A connection, in a transaction, to a database in memory that is gone afterwards."""
    with (
        closing(dbapi2.connect(":memory:", isolation_level=None)) as raw,
        transaction(raw) as connection,
    ):
        yield connection


@contextmanager
def transaction(raw: dbapi2.Connection) -> Iterator[Connection]:
    """A transaction of SQLAlchemy on an ordinary connection, without an `isolation_level`."""
    engine = create_engine("sqlite://", creator=lambda: raw, module=dbapi2, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")  # as a leader migrates
        connection.exec_driver_sql("BEGIN")

    with engine.connect() as connection, connection.begin():
        yield connection


def learn_downgrades(revisions: Sequence[Revision]) -> Mapping[str, list[Statement] | None]:
    """The statements that undo each revision, by its id; `None`: it cannot be undone.

    Raises:
        ValueError: a `downgrade()` reads rows, has values that JSON cannot hold, or does nothing;
            or a revision ends the transaction.
        Exception: a revision fails on an empty database.
    """
    learnt: dict[str, list[Statement] | None] = {}
    with empty_database() as connection:
        for revision in revisions:
            before = _objects(connection)
            _upgrade(revision, connection)
            learnt[revision.id] = statements = (
                _learn(revision, connection) if revision.reversible else None
            )
            if statements == [] and _objects(connection) != before:
                raise ValueError(
                    f"downgrade() of revision {revision.id} does nothing, and upgrade() changes"
                    " tables: without the function it cannot be undone, and nobody believes it can"
                )
    return learnt


def _upgrade(revision: Revision, connection: Connection) -> None:
    savepoint = connection.begin_nested()
    revision.upgrade(connection)
    try:
        savepoint.commit()
    except OperationalError as exc:
        raise ValueError(
            f"upgrade() of revision {revision.id} ends the transaction, which is that of the whole"
            " migration"
        ) from exc


def _objects(connection: Connection) -> set[tuple[Any, ...]]:
    rows = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_schema")
    return {tuple(row) for row in rows}


class Beside(NamedTuple):
    """An index or a trigger: ``kind`` is the word for it in SQL."""

    kind: str
    name: str
    table: str
    sql: str


def beside_tables(connection: Connection) -> list[Beside]:
    """The indexes and triggers, but for those that come with a table."""
    rows = connection.exec_driver_sql(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    )
    return [Beside(*row) for row in rows]


def swept_away(
    before: Sequence[Beside], connection: Connection, statements: Iterable[Statement]
) -> list[Beside]:
    """What went with a table that was made anew, though no statement drops it."""
    there = {each.name for each in beside_tables(connection)}
    tables = set(
        connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'table'").scalars()
    )
    dropped = " ".join(sql for sql, _ in statements if _DROPS.match(sql))
    return [
        each
        for each in before
        if each.name not in there
        and each.table in tables
        and not re.search(rf"(?<!\w){re.escape(each.name)}(?!\w)", dropped)
    ]


def _learn(revision: Revision, connection: Connection) -> list[Statement]:
    statements: list[Statement] = []
    before = beside_tables(connection)

    def note(
        _connection: Any, cursor: Any, sql: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        if cursor.description is None:
            for each in parameters if many else [parameters]:
                statements.append((sql, _plain(each, revision, sql)))
        elif not _OF_SCHEMA.match(sql):
            raise ValueError(
                f"downgrade() of revision {revision.id} reads rows ({sql.strip()}), but is kept as"
                " SQL: have one statement read and write"
            )

    with connection.begin_nested() as savepoint:
        event.listen(connection, "after_cursor_execute", note)
        try:
            revision.downgrade(connection)
        finally:
            event.remove(connection, "after_cursor_execute", note)
        undone = _objects(connection)
        # What it means to take with a table is told from what others may have there.
        for each in swept_away(before, connection, statements):
            quoted = each.name.replace('"', '""')
            statements.append((f'DROP {each.kind.upper()} IF EXISTS "{quoted}"', []))
        savepoint.rollback()
    with connection.begin_nested() as savepoint:
        for sql, given in statements:
            connection.exec_driver_sql(sql, given if isinstance(given, dict) else tuple(given))
        if _objects(connection) != undone:
            raise ValueError(
                f"downgrade() of revision {revision.id} does what cannot be kept as SQL: let"
                " SQLAlchemy execute all of it"
            )
        savepoint.rollback()
    return statements


def _plain(parameters: Any, revision: Revision, sql: str) -> Any:
    named = isinstance(parameters, Mapping)
    for value in parameters.values() if named else parameters:
        if value is not None and not isinstance(value, str | int | float):
            raise ValueError(
                f"downgrade() of revision {revision.id} has a value of {type(value).__name__}, but"
                f" is kept as text: write it into the SQL ({sql.strip()})"
            )
    return dict(parameters) if named else list(parameters)
