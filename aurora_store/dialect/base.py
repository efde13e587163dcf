"""The driver `aurora` of SQLAlchemy's sqlite dialect.

Connect strings: `sqlite+aurora:///NAME` finds the store that was opened under that name in this
process; `sqlite+aurora:///NAME?mode=ro` gives connections that only read.

Transactions: a transaction begins with `BEGIN IMMEDIATE`, in line for the write lock (`BEGIN` on a
read-only engine), and is serializable; DDL and savepoints are part of it. The only other isolation
level is `AUTOCOMMIT`, where each statement is a transaction of its own.

Pooling: a `QueuePool`. A connection that has seen what a loss of leadership took back is replaced
when it is next taken from the pool.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Engine, event, exc, pool
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

if TYPE_CHECKING:
    from sqlalchemy.engine.url import URL

_FORMS = """Valid forms are:
 sqlite+aurora:///NAME
 sqlite+aurora:///NAME?mode=ro"""


class SQLiteDialect_aurora(SQLiteDialect_pysqlite):  # noqa: N801  (SQLAlchemy's naming)
    """SQLite through `aurora_store.driver`."""

    driver = "aurora"
    supports_statement_cache = True

    _LEVELS: ClassVar = ("SERIALIZABLE", "AUTOCOMMIT")

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        """The DB-API module."""
        from aurora_store import driver

        return driver

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        """Connections may go from thread to thread, so the ordinary pool."""
        return pool.QueuePool

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Has the pool replace stale connections."""
        event.listen(engine, "checkout", _replace_stale)

    def create_connect_args(self, url: URL) -> Any:
        """The arguments of `driver.connect` that the URL tells."""
        unknown = set(url.query) - {"mode"}
        if url.username or url.password or url.host or url.port or unknown:
            raise exc.ArgumentError(f"Invalid URL of a store: {url}\n{_FORMS}")
        mode = url.query.get("mode", "rw")
        if mode not in ("ro", "rw"):
            raise exc.ArgumentError(f"mode is 'ro' or 'rw', not '{mode}', in {url}")
        if url.database is None:
            return (), {}
        return (), {"store": url.database, "read_only": mode == "ro"}

    # ---- transactions ------------------------------------------------------------------------

    def do_begin(self, dbapi_connection: Any) -> None:
        """Waits in line and begins, unless an event of the application has begun already."""
        connection = dbapi_connection.dbapi_connection
        if not (connection.autocommit_statements or connection.in_transaction):
            connection.begin()

    def get_isolation_level_values(self, dbapi_connection: Any) -> Any:
        """All there are."""
        return self._LEVELS

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:
        """What a transaction has unless told otherwise."""
        return "SERIALIZABLE"

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """The level of a connection's next transaction."""
        return "AUTOCOMMIT" if dbapi_connection.autocommit_statements else "SERIALIZABLE"

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        """Chooses between transactions and a transaction per statement."""
        dbapi_connection.autocommit_statements = level == "AUTOCOMMIT"

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        """Whether each statement is a transaction of its own."""
        return bool(dbapi_conn.autocommit_statements)


def _replace_stale(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    if dbapi_connection.stale:
        raise exc.DisconnectionError("leadership was lost since this connection was opened")


dialect = SQLiteDialect_aurora
