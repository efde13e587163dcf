"""What the stores share: a connection, inside whose transaction they all work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

__all__ = ["BaseStore"]

_Parameters = Mapping[str, Any] | Sequence[Any]


class BaseStore:
    """A store of one kind of thing. Reads and writes in the connection's transaction.

    Statements are texts of their own, without a step of the ORM: SQLAlchemy's part in them is the
    transaction, the events and the echo.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _rows(self, sql: str, parameters: _Parameters = ()) -> Sequence[Any]:
        return self._connection.exec_driver_sql(sql, parameters).all()

    def _row(self, sql: str, parameters: _Parameters = ()) -> Any:
        """The first row, or `None`."""
        return self._connection.exec_driver_sql(sql, parameters).first()

    def _run(self, sql: str, parameters: _Parameters = ()) -> int:
        """How many rows were changed, by the statement itself."""
        return self._connection.exec_driver_sql(sql, parameters).rowcount

    def _run_each(self, sql: str, parameters: list[tuple[Any, ...]]) -> None:
        """Once for each; that of an empty list does nothing."""
        if parameters:
            self._connection.exec_driver_sql(sql, parameters)
