"""What all tables share.

Rules of the schema:

- A table's own key is the integer `id`. A reference to it is `<table>_id`, or `<table>_row_id`
  where the table also has a text of that name from outside (Mesos's task id, an update's id).
- Enumerations are their numbers. There are no tables of them, and no checks on them: a release that
  adds a member changes no row.
- Times are milliseconds since 1970.
- What belongs to a row goes with it by triggers (`triggers`). Foreign keys say the same to readers,
  tools and connections that enforce them; nothing depends on ``PRAGMA foreign_keys``, which is off
  unless each connection turns it on.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from sqlalchemy import BigInteger, Integer, MetaData, SmallInteger, Text, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase

__all__ = ["Base", "EnumNumber", "metadata"]

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables of the model; constraints have names, so that migrations can change them."""


class Base(DeclarativeBase):
    """Base of the model's tables. A scheduler may derive its own from it, too."""

    metadata = metadata
    # BIGINT and SMALLINT say to readers what to expect; to SQLite all are integers.
    type_annotation_map = {str: Text(), int: BigInteger().with_variant(Integer(), "sqlite")}


class EnumNumber(TypeDecorator[IntEnum]):
    """A member of an enumeration, as its number."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, kind: type[IntEnum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        """To the table."""
        return None if value is None else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """From the table."""
        return None if value is None else self.kind(value)
