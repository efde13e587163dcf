"""The tables of a version, and how the schema differs between two."""

from __future__ import annotations

from dataclasses import dataclass

from aurora_store.differences.version import Version

_ROWIDS = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """A table, index, view or trigger that was made, dropped or changed.

    Attributes:
        before, after: the SQL that makes it; ``None`` if it is not there, "" for one that SQLite
            made by itself.
    """

    type: str
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table that has rows of its own.

    Attributes:
        key: the columns of the primary key of a table WITHOUT ROWID, in the order of the key; of
            any other table the name under which SQL finds the rowid.
        columns: all that SELECT shows.
    """

    name: str
    root: int
    has_rowid: bool
    key: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def by_key(self) -> str:
        """The query for the row of one key: the columns."""
        where = " AND ".join(f"{quoted(name)} = ?" for name in self.key)
        columns = ", ".join(map(quoted, self.columns))
        return f"SELECT {columns} FROM {quoted(self.name)} WHERE {where}"


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def schema_changes(before: Version, after: Version) -> list[SchemaChange]:
    """What was made, dropped or changed, by type and name."""
    old, new = _objects(before), _objects(after)
    return [
        SchemaChange(*key, old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _objects(version: Version) -> dict[tuple[str, str], str]:
    # Indexes that a table has by itself come and go with it.
    rows = version.rows(
        "SELECT type, name, sql FROM sqlite_master"
        " WHERE name NOT LIKE 'sqlite\\_autoindex%' ESCAPE '\\'"
    )
    return {(kind, name): sql or "" for kind, name, sql in rows}


def tables(version: Version) -> dict[str, Table]:
    """The tables with pages of their own: virtual ones are seen through their shadow tables."""
    found = {}
    for name, root in version.rows(
        "SELECT name, rootpage FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
    ):
        info = version.rows(f"PRAGMA table_xinfo({quoted(name)})")
        columns = tuple(column for _, column, _, _, _, _, hidden in info if hidden != 1)
        # Of a table WITHOUT ROWID the index of the primary key is the table itself.
        keys = [
            index
            for _, index, _, origin, _ in version.rows(f"PRAGMA index_list({quoted(name)})")
            if origin == "pk"
        ]
        without_rowid = any(
            not version.rows("SELECT 1 FROM sqlite_master WHERE name = ?", (index,))
            for index in keys
        )
        if without_rowid:
            parts = sorted((place, column) for _, column, _, _, _, place, _ in info if place)
            key = tuple(column for _, column in parts)
        else:
            taken = {column.lower() for column in columns}
            free = [rowid for rowid in _ROWIDS if rowid not in taken]
            alias = [
                column
                for _, column, kind, _, _, place, _ in info
                if place and kind.upper() == "INTEGER" and not keys
            ]
            key = tuple(alias or free)[:1]
        found[name] = Table(name, root, not without_rowid, key, columns)
    return found


def roots(version: Version) -> list[int]:
    """The root pages of all tables and indexes; that of the schema is page 1."""
    rows = version.rows("SELECT rootpage FROM sqlite_master WHERE rootpage > 0")
    return [root for (root,) in rows]
