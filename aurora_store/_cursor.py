"""Cursors of the driver (`aurora_store.driver`): what each statement needs beside SQLite itself."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pysqlite3 import dbapi2
from pysqlite3.dbapi2 import Error

if TYPE_CHECKING:
    from typing_extensions import Self

    from aurora_store.driver import Connection

_COMMENTS: Final = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_BEGIN: Final = re.compile(
    _COMMENTS + r"begin(?:\s+(?:immediate|exclusive))?(?:\s+transaction)?\s*;?\s*\Z", re.I | re.S
)
_READS: Final = re.compile(_COMMENTS + r"(?:select|values|explain)\b", re.I | re.S)

# The base class's methods, without the detour of super(): they run per statement and per row.
_execute: Final = dbapi2.Cursor.execute
_fetchone: Final = dbapi2.Cursor.fetchone
_next: Final = dbapi2.Cursor.__next__


class ReadCursor(dbapi2.Cursor):  # type: ignore[misc]
    """A pysqlite3 cursor of a connection that only reads.

    What it reads is durable, so nothing can be refused once the first row was there: fetching is
    left to pysqlite3 alone.
    """

    __slots__ = ()

    connection: Connection

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Executes one statement."""
        connection = self.connection
        if not connection.in_transaction:
            connection.ask()
        try:
            _execute(self, sql, parameters)
        except Error as error:
            connection.raise_refused(error)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        """Executes one statement for each of `parameters`: it will be refused, or read nothing."""
        try:
            super().executemany(sql, parameters)
        except Error as error:
            self.connection.raise_refused(error)
        return self

    def executescript(self, script: str, /) -> Self:
        """Commits, then executes each statement of `script` as `execute` does."""
        self.connection.commit()
        for statement in _statements(script):
            self.execute(statement)
        return self


class Cursor(ReadCursor):
    """A pysqlite3 cursor that settles what it commits."""

    __slots__ = ("_rows",)

    _rows: Iterator[Any]

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Executes one statement."""
        connection = self.connection
        if connection.in_transaction:
            try:
                _execute(self, sql, parameters)
            except Error as error:
                connection.raise_refused(error)
            if not connection.in_transaction:
                connection.settle()
        elif sql == "BEGIN" or _BEGIN.match(sql):
            connection.begin()
        else:
            self._execute_alone(sql, parameters)
        return self

    def fetchone(self) -> Any:
        """The next row, or None."""
        try:
            return _fetchone(self)
        except Error as error:
            self.connection.raise_refused(error)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, at most `size` of them."""
        try:
            rows: list[Any] = super().fetchmany(self.arraysize if size is None else size)
        except Error as error:
            self.connection.raise_refused(error)
        return rows

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        try:
            rows: list[Any] = super().fetchall()
        except Error as error:
            self.connection.raise_refused(error)
        return rows

    def __next__(self) -> Any:
        try:
            return _next(self)
        except Error as error:
            self.connection.raise_refused(error)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        """Executes one statement for each of `parameters`, as one transaction."""
        connection = self.connection
        alone = not connection.in_transaction
        if alone:
            connection.begin()
        try:
            super().executemany(sql, parameters)
        except BaseException as error:
            if alone:
                connection.rollback()
            if isinstance(error, Error):
                connection.raise_refused(error)
            raise
        if alone:
            connection.commit()
        return self

    def _execute_alone(self, sql: str, parameters: Any) -> None:
        """Executes a statement that is a transaction of its own.

        It is tried without the write lock first: most of them read. One that wants to write fails
        before its first effect if the lock is taken or the newest version is not durable yet; then
        it waits in line.
        """
        connection = self.connection
        connection.ask()
        try:
            self._execute_whole(sql, parameters)
        except Error as error:
            connection.take_turn(error)
            try:
                self._execute_whole(sql, parameters)
            except Error as second:
                connection.raise_refused(second)
            finally:
                connection.end_turn()
        if not connection.in_transaction:
            connection.settle()

    def _execute_whole(self, sql: str, parameters: Any) -> None:
        """Executes a statement to its end, if it may write: so what it commits is committed."""
        _execute(self, sql, parameters)
        if self.description is None or _READS.match(sql):
            return
        self._rows = iter(super().fetchall())
        self._become(_FetchedCursor)

    def _become(self, kind: type[Cursor]) -> None:
        self.__class__ = kind


class _FetchedCursor(Cursor):
    """A cursor whose rows were read already, until the next statement.

    An `INSERT ... RETURNING` outside a transaction commits when its last row has been read: they
    are read at once, and handed out from here. A class of its own costs ordinary cursors nothing.
    """

    __slots__ = ()

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        self._become(Cursor)
        return self.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        self._become(Cursor)
        return self.executemany(sql, parameters)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        count = self.arraysize if size is None else size
        return list(itertools.islice(self._rows, count))

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self._rows)

    def close(self) -> None:
        self._become(Cursor)
        self.close()


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, each with its semicolon; triggers in one piece."""
    start = 0
    for end in (match.end() for match in re.finditer(";", script)):
        statement = script[start:end]
        if dbapi2.complete_statement(statement):
            yield statement
            start = end
    if script[start:].strip():
        yield script[start:]
