"""What a database has that another one has not, table by table: two SQLite files.

SQLite compares, not `aurora_store.differences`: that costs what the change costs, but for each row
a hundred times as much, and memory. A bad deploy may have changed all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pysqlite3 import dbapi2

from aurora_store.backup.verify import open_readonly
from aurora_store.errors import Corrupt

__all__ = ["TableDifference", "compare"]

Row = dict[str, Any]


@dataclass(frozen=True)
class TableDifference:
    """How a table differs. A row is known by its rowid, or by its primary key.

    Attributes:
        table: its name.
        lost: rows that only the live database has.
        changed: rows that both have, and not with the same content.
        gained: rows that only the staged copy has.
        schema: what became of the table itself: empty, ``lost``, ``gained`` or ``changed``.
        examples: of the rows: (``lost``, ``changed`` or ``gained``; live; staged).
    """

    table: str
    lost: int
    changed: int
    gained: int
    schema: str
    examples: tuple[tuple[str, Row | None, Row | None], ...]


def compare(live: Path | None, staged: Path, *, examples: int = 3) -> list[TableDifference]:
    """What would become of the live database if the staged copy took its place.

    Args:
        live: ``None`` for an empty one.
        examples: how many rows of each kind and table to show.

    Returns:
        The tables that differ, by name.

    Raises:
        Corrupt: one of them cannot be read.
    """
    try:
        with closing(open_readonly(staged)) as connection:
            connection.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
            source = "" if live is None else f"file:{quote(str(live))}?mode=ro&immutable=1"
            connection.execute("ATTACH ? AS live", (source,))
            return list(_differences(connection, examples))
    except dbapi2.Error as exc:
        raise Corrupt(f"{live or 'nothing'} and {staged} cannot be compared: {exc}") from exc


def _differences(connection: dbapi2.Connection, examples: int) -> Iterator[TableDifference]:
    live, staged = (_tables(connection, schema) for schema in ("live", "main"))
    for name in sorted(live.keys() | staged.keys()):
        if name not in staged:
            yield TableDifference(name, _count(connection, "live", name), 0, 0, "lost", ())
        elif name not in live:
            yield TableDifference(name, 0, 0, _count(connection, "main", name), "gained", ())
        else:
            schema = "" if live[name] == staged[name] else "changed"
            found = _compare_table(connection, name, schema, examples)
            if schema or found.lost or found.changed or found.gained:
                yield found


def _tables(connection: dbapi2.Connection, schema: str) -> dict[str, str]:
    """Each table that has rows of its own, and how it was made."""
    rows = connection.execute(
        f"SELECT name, sql FROM {schema}.sqlite_schema WHERE type = 'table'"
        " AND sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    return {str(name): str(sql) for name, sql in rows}


def _count(connection: dbapi2.Connection, schema: str, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {schema}.{_quote(table)}").fetchone()[0])


def _compare_table(
    connection: dbapi2.Connection, table: str, schema: str, examples: int
) -> TableDifference:
    live, staged = (_columns(connection, each, table) for each in ("live", "main"))
    both = [column for column in live if column in staged]
    key = _key(connection, "live", table, {*live, *staged})
    if key != _key(connection, "main", table, {*live, *staged}):
        lost, gained = (_count(connection, each, table) for each in ("live", "main"))
        return TableDifference(table, lost, 0, gained, schema, ())
    here, there = f"live.{_quote(table)} AS a", f"main.{_quote(table)} AS b"
    same_key = " AND ".join(f"a.{column} = b.{column}" for column in key)
    same = " AND ".join(f"a.{c} IS b.{c} COLLATE BINARY" for c in map(_quote, both)) or "1"
    missing = "SELECT {{}} FROM {} WHERE NOT EXISTS (SELECT 1 FROM {} WHERE {})"
    queries = {
        "lost": missing.format(here, there, same_key),
        "changed": f"SELECT {{}} FROM {here} JOIN {there} ON {same_key} WHERE NOT ({same})",
        "gained": missing.format(there, here, same_key),
    }
    counts = {
        kind: int(connection.execute(query.format("count(*)")).fetchone()[0])
        for kind, query in queries.items()
    }
    shown: list[tuple[str, Row | None, Row | None]] = []
    for kind, query in queries.items():
        if counts[kind] == 0:
            continue
        columns = {"lost": "a.*", "changed": "a.*, b.*", "gained": "b.*"}[kind]
        for row in connection.execute(f"{query.format(columns)} LIMIT {examples}"):
            before = dict(zip(live, row, strict=False)) if kind != "gained" else None
            rest = row[len(live) :] if kind == "changed" else row
            after = dict(zip(staged, rest, strict=False)) if kind != "lost" else None
            shown.append((kind, before, after))
    return TableDifference(
        table, counts["lost"], counts["changed"], counts["gained"], schema, tuple(shown)
    )


def _columns(connection: dbapi2.Connection, schema: str, table: str) -> list[str]:
    return [
        str(row[1]) for row in connection.execute(f"PRAGMA {schema}.table_info({_quote(table)})")
    ]


def _key(
    connection: dbapi2.Connection, schema: str, table: str, columns: Collection[str]
) -> list[str]:
    """What tells a row from others: the rowid, or the primary key of a table without one."""
    (without_rowid,) = connection.execute(
        "SELECT wr FROM pragma_table_list WHERE schema = ? AND name = ?", (schema, table)
    ).fetchone()
    if not without_rowid:
        taken = {column.lower() for column in columns}
        return [next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), "rowid")]
    rows = connection.execute(f"PRAGMA {schema}.table_info({_quote(table)})")
    keyed = sorted((row[5], str(row[1])) for row in rows if row[5])
    return [_quote(name) for _, name in keyed]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
