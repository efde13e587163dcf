"""DB-API 2.0 driver: pysqlite3 connections to the replicated database of a store.

What differs from pysqlite3:

- A commit, by `commit()`, by a `COMMIT` statement or by a statement outside a transaction, returns
  when a quorum of log replicas has it on disk.
- `begin()`, and a plain `BEGIN`, wait in line for the write lock and become `BEGIN IMMEDIATE`. A
  statement that writes outside a transaction takes its place in the line by itself.
- `executemany` outside a transaction is one transaction.
- What the store refuses is raised as one of `aurora_store.errors`, which are no SQLite errors,
  with SQLite's error as the cause.

A connection is in SQLite's autocommit mode unless `BEGIN` was executed (`isolation_level` has no
meaning). Threads may share it, one at a time.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from pysqlite3 import dbapi2
from pysqlite3.dbapi2 import (
    Binary,
    DatabaseError,
    DataError,
    Date,
    DateFromTicks,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Row,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    Warning,  # noqa: A004  (a PEP 249 name)
    apilevel,
    paramstyle,
    sqlite_version,
    sqlite_version_info,
    threadsafety,
)

from aurora_store import _connection, errors, native
from aurora_store._cursor import Cursor, ReadCursor

__all__ = [
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Row",
    "StoreHandle",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "register",
    "sqlite_version",
    "sqlite_version_info",
    "threadsafety",
    "unregister",
]

_CACHED_STATEMENTS: Final = 256
_MMAP_SIZE: Final = 1 << 40  # pages are in memory already: SQLite is handed pointers to them

# The result codes with which the VFS refuses (pysqlite3 tells the primary ones).
_BUSY: Final = 5
_READONLY: Final = 8
_IOERR: Final = 10
_CANTOPEN: Final = 14

_new_cursor: Final = dbapi2.Connection.cursor


@dataclass(frozen=True)
class StoreHandle:
    """What connections need of an opened store.

    Attributes:
        database: its `aur_database*`.
        begin_timeout_s: how long a transaction waits in line for the write lock.
        commit_timeout_s: how long a commit waits for a quorum.
        admit: is called with a connection whose transaction has just begun, or that is about to
            execute a statement outside one; what it raises ends the transaction.
    """

    database: Any
    begin_timeout_s: float = 30.0
    commit_timeout_s: float = math.inf
    admit: Callable[[Connection], None] | None = None


_stores: dict[str, StoreHandle] = {}  # guarded by _lock
_vfs_loaded = False  # guarded by _lock
_lock: Final = threading.Lock()


def register(name: str, handle: StoreHandle) -> None:
    """Lets `connect(name)`, and the URL `sqlite+aurora:///NAME`, find an opened store.

    Raises:
        LogInUse: another store of this process has that name.
    """
    with _lock:
        if name in _stores:
            raise errors.LogInUse(f"a store named '{name}' is open in this process already")
        _stores[name] = handle


def unregister(name: str) -> None:
    """Forgets a name. Connections that are open stay so."""
    with _lock:
        _stores.pop(name, None)


def connect(
    store: StoreHandle | str,
    *,
    read_only: bool = False,
    cached_statements: int = _CACHED_STATEMENTS,
    detect_types: int = 0,
) -> Connection:
    """Opens a connection.

    Args:
        store: a store's handle, or the name it was registered by.
        read_only: it reads what is durable and never writes; several may read at the same time as
            one writes.
        cached_statements: how many prepared statements are kept.
        detect_types: see pysqlite3.

    Raises:
        StoreClosed: no store of that name is open.
    """
    if isinstance(store, str):
        with _lock:
            handle = _stores.get(store)
        if handle is None:
            raise errors.StoreClosed(f"no store named '{store}' is open in this process")
    else:
        handle = store
    _load_vfs()
    return Connection(handle, read_only, cached_statements, detect_types)


def _load_vfs() -> None:
    global _vfs_loaded
    with _lock:
        if _vfs_loaded:
            return
        loader = dbapi2.connect(":memory:")
        try:
            loader.enable_load_extension(True)
            loader.load_extension(native.extension_path())
        finally:
            loader.close()
        _vfs_loaded = True


class Connection(dbapi2.Connection):  # type: ignore[misc]
    """A connection to a store's database. Made by `connect`."""

    def __init__(
        self, handle: StoreHandle, read_only: bool, cached_statements: int, detect_types: int
    ) -> None:
        self.read_only: Final = read_only
        self.begin_timeout_s = handle.begin_timeout_s
        self.commit_timeout_s = handle.commit_timeout_s
        self.autocommit_statements = False
        self.commit_position = 0  # a log position that includes the last commit
        self._undecided = False
        self._admit = handle.admit
        self._asking = False
        self._native: Final = _connection.NativeConnection(handle.database, read_only=read_only)
        super().__init__(
            f"file:aurora?vfs=aurora&connection={self._native.id}",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=cached_statements,
            detect_types=detect_types,
        )
        try:
            for pragma in (
                "journal_mode = memory",
                "synchronous = off",  # durable is what the log has
                "temp_store = memory",
                f"mmap_size = {_MMAP_SIZE}",
            ):
                self._execute(f"PRAGMA {pragma}").fetchall()
        except Error as error:  # the store cannot be read: it says why
            self.raise_refused(error)

    @property
    def stale(self) -> bool:
        """Whether it must be closed and a new one opened.

        So after this replica lost leadership, if the connection has seen what was taken back, and
        after a commit whose outcome is unknown.
        """
        return self._undecided or self._native.stale

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Executes one statement with a new cursor."""
        return self.cursor().execute(sql, parameters)

    def cursor(self, factory: Callable[[Connection], Any] | None = None) -> Any:
        """A new cursor."""
        return _new_cursor(self, factory or (ReadCursor if self.read_only else Cursor))

    def begin(self, timeout_s: float | None = None) -> None:
        """Begins a transaction; one that can write, unless the connection is read-only.

        Args:
            timeout_s: how long to wait in line for the write lock; by default the store's limit.

        Raises:
            WriterBusy, NotLeader, LeadershipLost, StoreClosed, SchemaMismatch.
        """
        if self.read_only:
            self._execute("BEGIN")
        else:
            self._begin_immediate(timeout_s)
        if self._admit is not None:
            try:
                self._admit(self)
            except BaseException:
                self.rollback()
                raise

    def ask(self) -> None:
        """Has a statement outside a transaction admitted; what `admit` executes itself is."""
        if self._admit is None or self._asking:
            return
        self._asking = True
        try:
            self._admit(self)
        finally:
            self._asking = False

    def _begin_immediate(self, timeout_s: float | None) -> None:
        native = self._native
        native.acquire(self.begin_timeout_s if timeout_s is None else timeout_s)
        try:
            self._execute("BEGIN IMMEDIATE")
        except BaseException as error:
            if not self.in_transaction:
                native.release()
            if isinstance(error, Error):
                self.raise_refused(error)
            raise

    def commit(self) -> None:
        """Commits the transaction, if there is one, and waits until it is durable.

        Raises:
            LeadershipLost, CommitOutcomeUnknown, StoreClosed.
        """
        if not self.in_transaction:
            return
        try:
            super().commit()
        except Error as error:
            self.raise_refused(error)
        if not self.read_only:
            self._wait()

    def open_blob(self, *arguments: Any, readonly: bool = False, **options: Any) -> Any:
        """Opens a blob for incremental reading, or, inside a transaction, for writing."""
        if not readonly and not self.in_transaction:
            raise ProgrammingError("begin a transaction before opening a blob for writing")
        return super().open_blob(*arguments, readonly=readonly, **options)

    def settle(self) -> None:
        """Waits until what was committed, or read under the write lock, is durable."""
        if not self.read_only and self._native.unsettled:
            self._wait()

    def _wait(self) -> None:
        try:
            self.commit_position = self._native.wait(self.commit_timeout_s)
        except errors.CommitOutcomeUnknown:
            self._undecided = True
            raise

    def _execute(self, sql: str) -> Any:
        """Executes a statement of our own, with none of the checks above."""
        return _new_cursor(self, dbapi2.Cursor).execute(sql)

    def take_turn(self, error: Error) -> None:
        """Waits for the write lock, if the lack of it is why a statement failed with `error`."""
        if _code(error) != _BUSY or self._native.take_refusal()[0] == 0:
            self.raise_refused(error)
        self._native.acquire(self.begin_timeout_s)

    def acquire_turn(self) -> None:
        """Waits for the write lock, for what is to write without `BEGIN`; `end_turn` after it.

        Raises:
            WriterBusy, NotLeader, LeadershipLost, StoreClosed.
        """
        self._native.acquire(self.begin_timeout_s)

    def end_turn(self) -> None:
        """Gives the write lock back, if the statement has not."""
        if not self.in_transaction:
            self._native.release()

    def raise_refused(self, error: Error) -> NoReturn:
        """Raises the store's reason for a SQLite error, or the error itself if it has none."""
        code = _code(error)
        if code in (_BUSY, _READONLY, _IOERR, _CANTOPEN):
            refusal, reason = self._native.take_refusal()
            if refusal:
                raise _connection.refused(refusal, reason) from error
            if reason and code == _CANTOPEN:
                raise OperationalError(reason) from error
        if code == _READONLY and self.read_only:
            raise errors.NotLeader(
                "this connection reads only: write through a write connection of the replica that "
                "leads"
            ) from error
        raise error


def _code(error: Error) -> int:
    """SQLite's primary result code; 0 for an error of the driver itself."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF
