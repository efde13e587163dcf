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
from aurora_store.differences import RowChange, SchemaChange
from aurora_store.differences.rows import Row
from aurora_store.differences.schema import quoted
from aurora_store.errors import StoreError

_ORDER = ("table", "index", "view", "trigger")  # to make them; to drop them it is the reverse


@dataclass(frozen=True, slots=True)
class Conflict:
    """A change that does not fit, and why.

    Attributes:
        change: of a row; ``None`` if it is one of the schema.
    """

    what: str
    change: RowChange | None = None


class DoesNotFit(StoreError):
    """A change of the schema cannot be brought back by SQL."""


class Applier:
    """Brings changes into the database behind a connection, which is in a transaction."""

    def __init__(self, connection: driver.Connection) -> None:
        self._connection = connection
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")

    def apply(self, schema: Iterable[SchemaChange], rows: Iterable[RowChange]) -> list[Conflict]:
        """Applies what fits, and returns what does not.

        Raises:
            DoesNotFit: a change of the schema does not.
        """
        self._apply_schema(list(schema))
        conflicts: list[Conflict] = []
        with self._without_triggers():
            fitting = []
            # All old rows go before the first new one comes: they may trade unique values.
            for change in rows:
                why = self._take(change)
                if why is None:
                    fitting.append(change)
                elif why:
                    conflicts.append(Conflict(why, change))
            for change in fitting:
                if change.after is not None:
                    why = self._put(change.table, change.key, change.after)
                    if why is not None:
                        conflicts.append(Conflict(why, change))
                        if change.before is not None:
                            self._put(change.table, change.key, change.before)
        return conflicts

    def _apply_schema(self, changes: list[SchemaChange]) -> None:
        def rank(change: SchemaChange) -> tuple[int, bool]:
            virtual = (change.after or "").upper().startswith("CREATE VIRTUAL")
            return _ORDER.index(change.type), not virtual

        for change in sorted(changes, key=rank, reverse=True):
            if change.before and self._exists(change):
                if change.after is not None and change.type == "table":
                    raise DoesNotFit(
                        f"table {change.name} was altered after the range that is left out, which"
                        " cannot be brought back row by row",
                        hint="end with --to before that, and alter the table anew",
                    )
                self._execute(f"DROP {change.type} {quoted(change.name)}", change)
        for change in sorted(changes, key=rank):
            made_by_itself = change.name.startswith("sqlite_") or self._exists(change)
            if change.after and not made_by_itself:
                self._execute(change.after, change)

    def _exists(self, change: SchemaChange) -> bool:
        found = self._connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = ? AND name = ?", (change.type, change.name)
        ).fetchone()
        return found is not None

    def _execute(self, sql: str, change: SchemaChange) -> None:
        try:
            self._connection.execute(sql)
        except driver.Error as exc:
            raise DoesNotFit(
                f"{change.type} {change.name} cannot be brought back without the range that is"
                f" left out: {exc}",
                hint="end with --to before that",
            ) from exc

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
            if change.before is not None:
                where, values = _where(change.key)
                self._connection.execute(
                    f"DELETE FROM {quoted(change.table)} WHERE {where}", values
                )
            return None
        if there == change.after:
            return ""
        if there is None:
            return "the row is not there"
        return "the row is there already" if change.before is None else "the row is another one"

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


def _where(key: Row) -> tuple[str, tuple[Any, ...]]:
    return " AND ".join(f"{quoted(name)} = ?" for name in key), tuple(key.values())


def _is_torn(value: Any) -> bool:
    """Whether a text is no UTF-8."""
    return isinstance(value, str) and any("\udc80" <= letter <= "\udcff" for letter in value)
