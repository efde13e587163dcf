"""Rows that differ between two versions.

Which rows to compare, the changed pages tell: a row that is not the same, or not in the same place,
is in a cell of a leaf that changed, or of one that the table has in one of the versions only. One
case is left: a long row whose bytes changed on its overflow pages alone. So if a page changed that
is neither free nor part of a b-tree, all long rows are looked through for the one that owns it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from aurora_store.differences import btree
from aurora_store.differences.schema import Table, roots, tables
from aurora_store.differences.version import Version

Row = dict[str, Any]
_Key = tuple[Any, ...]
_SCHEMA_ROOT = 1


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that was inserted, changed or deleted.

    Attributes:
        key: the primary key of a table WITHOUT ROWID, by column; of any other table the rowid,
            under the name of its column, or "rowid".
        before, after: all columns; ``None`` if the row is not there.
    """

    table: str
    key: Row
    before: Row | None
    after: Row | None

    @property
    def kind(self) -> str:
        """``insert``, ``update`` or ``delete``."""
        if self.before is None:
            return "insert"
        return "delete" if self.after is None else "update"


def row_changes(before: Version, after: Version, pages: Collection[int]) -> Iterator[RowChange]:
    """The rows that differ, table by table; those of a table in no particular order.

    Args:
        pages: the numbers of all pages that differ; more do no harm.

    Raises:
        Corrupt: the database is no database.
    """
    changed = frozenset(pages)
    if not changed:
        return
    old_tables, new_tables = tables(before), tables(after)
    lost = _overflowing(after, changed)
    for name in sorted(old_tables.keys() | new_tables.keys()):
        old, new = old_tables.get(name), new_tables.get(name)
        if old is not None and new is not None and old.key != new.key:
            # Made anew under the same name: the keys of one say nothing of the other.
            yield from _compare(before, after, old, None, changed, lost)
            yield from _compare(before, after, None, new, changed, lost)
        else:
            yield from _compare(before, after, old, new, changed, lost)


def _overflowing(version: Version, changed: frozenset[int]) -> frozenset[int]:
    """The changed pages that must be overflow pages of some row, or of some index."""
    known: set[int] = set()
    for root in (_SCHEMA_ROOT, *roots(version)):
        known |= btree.tree(version, root).pages if version.image.page_count else set()
    rest = {
        number
        for number in changed - known
        if number <= version.image.page_count and not btree.is_pointer_map(version, number)
    }
    return frozenset(rest - btree.free_pages(version)) if rest else frozenset()


def _compare(
    before: Version,
    after: Version,
    old: Table | None,
    new: Table | None,
    changed: frozenset[int],
    lost: frozenset[int],
) -> Iterator[RowChange]:
    table = new or old
    assert table is not None
    old_pages = _pages(before, old)
    new_pages = _pages(after, new)
    kept = old_pages & new_pages - changed
    old_cells = _cells(before, old, old_pages - kept)
    new_cells = _cells(after, new, new_pages - kept)
    keys = {
        key
        for key in old_cells.keys() | new_cells.keys()
        if not _same(old_cells.get(key), new_cells.get(key))
    }
    if lost and new is not None:
        keys |= _owners(after, new, kept, lost)
    names = table.key or ("rowid",)
    for key in sorted(keys, key=_sortable):
        was, now = _row(before, old, key), _row(after, new, key)
        if not _equal(was, now):
            yield RowChange(table.name, dict(zip(names, key, strict=True)), was, now)


def _pages(version: Version, table: Table | None) -> frozenset[int]:
    """The pages with cells that are rows."""
    if table is None:
        return frozenset()
    found = btree.tree(version, table.root)
    return found.leaves if table.has_rowid else found.pages


def _cells(
    version: Version, table: Table | None, numbers: frozenset[int]
) -> dict[_Key, btree.Cell]:
    if table is None:
        return {}
    return {
        _key(version, table, cell): cell
        for number in numbers
        for cell in btree.cells(version, number)
    }


def _key(version: Version, table: Table, cell: btree.Cell) -> _Key:
    if cell.key is not None:
        return (cell.key,)
    return tuple(btree.record(version, cell)[: len(table.key)])


def _same(old: btree.Cell | None, new: btree.Cell | None) -> bool:
    """Whether the row is the same for certain."""
    if old is None or new is None or old.overflow or new.overflow:
        return False
    return old.payload == new.payload


def _owners(
    version: Version, table: Table, numbers: frozenset[int], wanted: frozenset[int]
) -> set[_Key]:
    """The keys of the rows that go on on the wanted pages."""
    return {
        _key(version, table, cell)
        for number in numbers
        for cell in btree.cells(version, number)
        if cell.overflow and not wanted.isdisjoint(btree.overflow_pages(version, cell))
    }


def _row(version: Version, table: Table | None, key: _Key) -> Row | None:
    if table is None:
        return None
    rows = version.rows(table.by_key, key)
    return dict(zip(table.columns, rows[0], strict=True)) if rows else None


def _equal(one: Row | None, other: Row | None) -> bool:
    """Whether two rows say the same: what only one of two schemas has counts if it is a value."""
    if one is None or other is None:
        return one is other
    if list(one) != list(other):
        one = {name: one.get(name) for name in {**one, **other}}
        other = {name: other.get(name) for name in one}
    return all(
        type(value) is type(other[name]) and value == other[name] for name, value in one.items()
    )


def _sortable(key: _Key) -> list[tuple[int, Any]]:
    """An order like that of SQLite: NULL, numbers, texts, blobs."""
    ranks = {int: 1, float: 1, str: 2, bytes: 3}
    return [(ranks.get(type(value), 0), 0 if value is None else value) for value in key]
