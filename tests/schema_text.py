"""The text of a database's schema in a normal form: equal if the tables are the same ones.

SQLite keeps statements as they were written, and Alembic writes those of a rebuilt table anew: with
other spaces, quotes and another order of the constraints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["READ_SCHEMA", "normal_form"]

READ_SCHEMA: Final = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
_CONSTRAINT: Final = re.compile(r"(CONSTRAINT|PRIMARY|FOREIGN|UNIQUE|CHECK)\b")
_TABLE: Final = re.compile(r"(CREATE TABLE \w+)\((.*)\)([A-Z ]*)", re.DOTALL)


def normal_form(rows: Iterable[Iterable[str]]) -> dict[str, str]:
    """The statement of each object, by its type and name; `rows` are those of `READ_SCHEMA`."""
    return {f"{kind} {name}": _normal(kind, sql) for kind, name, sql in sorted(map(tuple, rows))}


def _normal(kind: str, sql: str) -> str:
    tight = re.sub(r"\s+", " ", re.sub(r'"(\w+)"', r"\1", sql)).strip()
    if kind != "table":
        return tight
    found = _TABLE.fullmatch(re.sub(r" ?([(),]) ?", r"\1", tight))
    if found is None:
        return tight  # a virtual table
    head, body, options = found.groups()
    items = re.split(r",(?![^(]*\))", body)
    columns = [each for each in items if not _CONSTRAINT.match(each)]
    constraints = sorted(each for each in items if _CONSTRAINT.match(each))
    lines = ",\n".join(f"  {each}" for each in columns + constraints)
    return f"{head} (\n{lines}\n){options and ' ' + options}"
