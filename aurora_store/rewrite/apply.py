"""Changes of rows and of the schema, brought into a database that may differ, by SQL.

A row must be there as the change found it; otherwise that is a conflict. Triggers do not run: what
they did is among the changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aurora_store import driver
from aurora_store.differences import RowChange, SchemaChange, Version
from aurora_store.differences.rows import Row
from aurora_store.differences.schema import quoted, tables

_ORDER = ("table", "index", "view", "trigger")  # to make them; to drop them it is the reverse


@dataclass(frozen=True, slots=True)
class Conflict:
    """A change that does not fit, and why.

    Attributes:
        change: of a row; ``None`` if it is one of the schema.
    """

    what: str
    change: RowChange | None = None


class DoesNotFit(Exception):
    """A change of the schema cannot be brought back by SQL; the message says which, and why."""


class Applier:
    """Brings changes into the database behind a connection, which is in a transaction.

    Args:
        before, after: the versions that the changes are between.
    """

    def __init__(self, connection: driver.Connection, before: Version, after: Version) -> None:
        self._connection = connection
        self._before = before
        self._after = after
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")

    def apply(self, schema: Iterable[SchemaChange], rows: Iterable[RowChange]) -> list[Conflict]:
        """Applies what fits, and returns what does not.

        Raises:
            DoesNotFit: a change of the schema does not.
        """
        conflicts: list[Conflict] = []
        fitting = []
        # All old rows go before the first new one comes: they may trade unique values. They have
        # the columns of the schema that was, and the new ones those of the schema that comes.
        with self._without_triggers():
            for change in rows:
                why = None if change.before is None else self._take(change)
                if why is None:
                    fitting.append(change)
                elif why:
                    conflicts.append(Conflict(why, change))
        self._apply_schema(list(schema))
        with self._without_triggers():
            for change in fitting:
                why = None if change.after is None else self._come(change, change.after)
                if why is not None:
                    conflicts.append(Conflict(why, change))
                    if change.before is not None:
                        self._put(change.table, change.key, change.before)
        return conflicts

    def _apply_schema(self, changes: list[SchemaChange]) -> None:
        def rank(change: SchemaChange) -> tuple[int, bool]:
            return _ORDER.index(change.type), not _is_virtual(change.after)

        for change in sorted(changes, key=rank, reverse=True):
            if change.before and self._exists(change):
                if change.after is not None and change.type == "table":
                    self._alter(change, change.after)
                else:
                    self._drop(change)
        for change in sorted(changes, key=rank):
            made_by_itself = change.name.startswith("sqlite_") or self._exists(change)
            if change.after and not made_by_itself:
                self._execute(change.after, change)

    def _drop(self, change: SchemaChange) -> None:
        name = quoted(change.name)
        if change.type == "table" and not _is_virtual(change.before):
            (rows,) = self._connection.execute(f"SELECT count(*) FROM {name}").fetchone()
            if rows:  # those that the entry found were taken
                raise DoesNotFit(f"table {change.name} was dropped or renamed, and holds rows here")
        self._execute(f"DROP {change.type} {name}", change)

    def _alter(self, change: SchemaChange, sql: str) -> None:
        """Does to the table what ALTER TABLE did to it."""
        if self._sql(change) != change.before:
            raise DoesNotFit(f"table {change.name} was altered, and is another one")
        old, new = tables(self._before).get(change.name), tables(self._after).get(change.name)
        if old is None or new is None or old.root != new.root:
            raise DoesNotFit(f"table {change.name} was made anew with other columns")
        dropped = [column for column in old.columns if column not in new.columns]
        if _stay(old.columns, new.columns):
            # No more than that is done by SQLite either to add a column, or to rename one.
            self._execute("PRAGMA writable_schema = ON", change)
            self._execute(
                "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?",
                change,
                (sql, change.name),
            )
            self._execute("PRAGMA writable_schema = RESET", change)
        elif [*new.columns] == [column for column in old.columns if column not in dropped]:
            for column in dropped:
                self._execute(
                    f"ALTER TABLE {quoted(change.name)} DROP COLUMN {quoted(column)}", change
                )
        if self._sql(change) != sql:
            raise DoesNotFit(
                f"table {change.name} was altered, and it cannot be told which of its columns"
                " became which"
            )

    def _exists(self, change: SchemaChange) -> bool:
        return self._sql(change) is not None

    def _sql(self, change: SchemaChange) -> str | None:
        """What made the object of that name; ``None`` if there is none."""
        found = self._connection.execute(
            "SELECT coalesce(sql, '') FROM sqlite_master WHERE type = ? AND name = ?",
            (change.type, change.name),
        ).fetchone()
        return None if found is None else str(found[0])

    def _execute(self, sql: str, change: SchemaChange, parameters: tuple[str, ...] = ()) -> None:
        try:
            self._connection.execute(sql, parameters)
        except driver.Error as exc:
            raise DoesNotFit(f"{change.type} {change.name}: {exc}") from exc

    @contextmanager
    def _without_triggers(self) -> Iterator[None]:
        triggers = self._connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            self._connection.execute(f"DROP TRIGGER {quoted(name)}")
        yield
        for _, sql in triggers:
            self._connection.execute(sql)

    def _take(self, change: RowChange) -> str | None:
        """Removes the row that a change found. ``None``: its new row may come; "": it is there."""
        try:
            there = self._row(change)
        except driver.Error as exc:
            return str(exc)
        if there == change.before:
            where, values = _where(change.key)
            self._connection.execute(f"DELETE FROM {quoted(change.table)} WHERE {where}", values)
            return None
        if there == change.after:
            return ""
        return "the row is not there" if there is None else "the row is another one"

    def _come(self, change: RowChange, row: Row) -> str | None:
        """Puts the new row of a change where no row is by now, or says why not."""
        if change.before is None:
            try:
                there = self._row(change)
            except driver.Error as exc:
                return str(exc)
            if there is not None:
                return None if there == row else "the row is there already"
        return self._put(change.table, change.key, row)

    def _row(self, change: RowChange) -> Row | None:
        columns = list(change.before or change.after or {})
        names = ", ".join(map(quoted, columns))
        where, values = _where(change.key)
        row = self._connection.execute(
            f"SELECT {names} FROM {quoted(change.table)} WHERE {where}", values
        ).fetchone()
        return None if row is None else dict(zip(columns, row, strict=True))

    def _put(self, table: str, key: Row, row: Row) -> str | None:
        stored = {
            name
            for _, name, *_, hidden in self._connection.execute(
                f"PRAGMA table_xinfo({quoted(table)})"
            )
            if hidden == 0
        }
        values: dict[str, Any] = {name: row[name] for name in row if name in stored}
        values = {**key, **values}  # the rowid of a table whose columns do not show it
        names = ", ".join(map(quoted, values))
        parameters = [
            value.encode("utf-8", "surrogateescape") if _is_torn(value) else value
            for value in values.values()
        ]
        marks = ", ".join(
            "CAST(? AS TEXT)" if _is_torn(value) else "?" for value in values.values()
        )
        try:
            self._connection.execute(
                f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})", parameters
            )
        except driver.Error as exc:
            return str(exc)
        return None


def _is_virtual(sql: str | None) -> bool:
    return (sql or "").upper().startswith("CREATE VIRTUAL")


def _stay(old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """Whether rows need not be touched: columns were added at the end, or renamed in place."""
    return len(old) <= len(new) and all(
        was == now or (was not in new and now not in old)
        for was, now in zip(old, new, strict=False)
    )


def _where(key: Row) -> tuple[str, tuple[Any, ...]]:
    return " AND ".join(f"{quoted(name)} = ?" for name in key), tuple(key.values())


def _is_torn(value: Any) -> bool:
    """Whether a text is no UTF-8."""
    return isinstance(value, str) and any("\udc80" <= letter <= "\udcff" for letter in value)
