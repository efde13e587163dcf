"""The revisions that make the model's tables."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from aurora_store import events

if TYPE_CHECKING:
    from aurora_store.migrations import Schema

__all__ = ["REVISIONS", "create_schema"]

REVISIONS: Final = Path(__file__).with_name("versions")
"""The directory of the revisions of the model's tables. They need `aurora_store.events.REVISIONS`:

    Store.open(directory, schema=Schema(models.REVISIONS, events.REVISIONS))
"""


@cache
def _schema() -> Schema:
    from aurora_store.migrations import Schema

    return Schema(REVISIONS, events.REVISIONS)


def create_schema(connection: Connection) -> None:
    """Applies the revisions of the model and of events that the database lacks.

    In the connection's transaction. For stores that are opened without a schema: those with one do
    so by themselves.

    Raises:
        SchemaMismatch: the database is of a newer release; nothing was done.
        MigrationFailed: roll the transaction back.
    """
    _schema().upgrade(connection)
