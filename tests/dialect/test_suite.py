"""SQLAlchemy's own tests of a dialect, against a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Table, select, testing
from sqlalchemy.testing.suite import *  # noqa: F403
from sqlalchemy.testing.suite import IntegerTest as _IntegerTest
from sqlalchemy.testing.suite import IsolationLevelTest as _IsolationLevelTest


class IntegerTest(_IntegerTest):
    """The suite creates the table on a second connection while the first one is in a transaction.

    That transaction has the write lock, so here the table is created by the first one.
    """

    @testing.fixture
    def integer_round_trip(
        self, metadata: MetaData, connection: Connection
    ) -> Callable[[Any, int], None]:
        """Writes an integer and reads it back."""

        def run(datatype: Any, data: int) -> None:
            table = Table(
                "integer_table",
                metadata,
                Column("id", Integer, primary_key=True),
                Column("integer_data", datatype),
            )
            metadata.create_all(connection)
            connection.execute(table.insert(), {"id": 1, "integer_data": data})
            row = connection.execute(select(table.c.integer_data)).one()
            assert row == (data,)
            assert isinstance(row[0], int)

        return run


class IsolationLevelTest(_IsolationLevelTest):
    """The suite looks for a level that is neither the default nor AUTOCOMMIT: there is none."""

    def test_dialect_user_setting_is_restored(self, testing_engine: Any) -> None:
        """An engine's own level comes back after a connection had chosen another."""
        engine = testing_engine(options={"isolation_level": "AUTOCOMMIT"})
        with engine.connect() as connection:
            assert connection.get_isolation_level() == "AUTOCOMMIT"
        with engine.connect() as connection:
            connection.execution_options(isolation_level="SERIALIZABLE")
            assert connection.get_isolation_level() == "SERIALIZABLE"
        with engine.connect() as connection:
            assert connection.get_isolation_level() == "AUTOCOMMIT"
