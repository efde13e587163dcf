"""SQLite's b-trees, as far as one must know them to find the cells on a page.

The format is the one of https://www.sqlite.org/fileformat2.html, chapters 1.5 and 1.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aurora_store.differences.version import Version
from aurora_store.errors import Corrupt

_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_INTERIOR = (_INDEX_INTERIOR, _TABLE_INTERIOR)
_WORD = struct.Struct(">I")
_POINTERS_PER_MAP = 5  # bytes of a page's entry in a pointer map


@dataclass(frozen=True, slots=True)
class Cell:
    """A row, or a row of an index, on one page.

    Attributes:
        key: the rowid, or `None` in an index.
        stored: its bytes on the page.
        payload: those that are the record, or its beginning.
        overflow: the page where the record goes on; 0 if it does not.
        size: of the whole record.
    """

    key: int | None
    stored: bytes
    payload: bytes
    overflow: int
    size: int


@dataclass(frozen=True, slots=True)
class Tree:
    """The pages of a b-tree, without those for overflow."""

    leaves: frozenset[int]
    interior: frozenset[int]

    @property
    def pages(self) -> frozenset[int]:
        """All of them."""
        return self.leaves | self.interior


def tree(version: Version, root: int) -> Tree:
    """Finds the pages of a b-tree by reading those that are no leaves.

    Raises:
        Corrupt: it is no b-tree.
    """
    interior: set[int] = set()
    level = [root]
    while _kind(version.page(level[0]), level[0]) in _INTERIOR:  # all leaves are equally deep
        if interior.intersection(level):
            raise Corrupt(f"the b-tree at page {root} of the database goes round in circles")
        interior.update(level)
        level = [child for number in level for child in _children(version.page(number), number)]
    return Tree(frozenset(level), frozenset(interior))


def cells(version: Version, number: int) -> Iterator[Cell]:
    """The cells of a page that have a record: all but those of a table's interior pages."""
    page = version.page(number)
    kind = _kind(page, number)
    if kind == _TABLE_INTERIOR:
        return
    usable = version.usable
    least = (usable - 12) * 32 // 255 - 23
    most = usable - 35 if kind == _TABLE_LEAF else (usable - 12) * 64 // 255 - 23
    for start in _places(page, number):
        at = start + (4 if kind == _INDEX_INTERIOR else 0)
        size, at = varint(page, at)
        key = None
        if kind == _TABLE_LEAF:
            key, at = varint(page, at)
            key -= (key >> 63) << 64
        local = size
        if size > most:
            local = least + (size - least) % (usable - 4)
            local = least if local > most else local
        end = at + local
        overflow = _WORD.unpack_from(page, end)[0] if local < size else 0
        stored = page[start : end + (4 if overflow else 0)]
        yield Cell(key, stored, page[at:end], overflow, size)


def overflow_pages(version: Version, cell: Cell) -> Iterator[int]:
    """The pages on which a record goes on, in order."""
    number = cell.overflow
    for _ in range(cell.size // (version.usable - 4) + 2):
        if number == 0:
            return
        yield number
        (number,) = _WORD.unpack_from(version.page(number))
    raise Corrupt(f"the overflow pages from page {cell.overflow} on have no end")


def record(version: Version, cell: Cell) -> list[Any]:
    """The values of a cell's record."""
    payload = cell.payload
    if cell.overflow:
        parts = [version.page(n)[4 : version.usable] for n in overflow_pages(version, cell)]
        payload = b"".join([payload, *parts])[: cell.size]
    end, at = varint(payload, 0)
    body = end
    values: list[Any] = []
    while at < end:
        kind, at = varint(payload, at)
        size = _size_of(kind)
        values.append(_value(kind, payload[body : body + size], version.encoding))
        body += size
    return values


def free_pages(version: Version) -> set[int]:
    """The pages that no table or index uses."""
    free: set[int] = set()
    trunk = version.first_free
    while trunk and trunk not in free:
        free.add(trunk)
        page = version.page(trunk)
        following, count = struct.unpack_from(">II", page)
        free.update(struct.unpack_from(f">{min(count, 1022)}I", page, 8))
        trunk = following
    return free


def is_pointer_map(version: Version, number: int) -> bool:
    """Whether it is a page that an auto_vacuum database uses to find its way back."""
    every = version.usable // _POINTERS_PER_MAP + 1
    return version.has_pointer_map and number >= 2 and (number - 2) % every == 0


def varint(data: bytes, at: int) -> tuple[int, int]:
    """SQLite's number of variable length, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9


def _header(number: int) -> int:
    return 100 if number == 1 else 0


def _kind(page: bytes, number: int) -> int:
    kind = page[_header(number)] if page else 0
    if kind not in (*_INTERIOR, _INDEX_LEAF, _TABLE_LEAF):
        raise Corrupt(f"page {number} of the database is no page of a b-tree")
    return kind


def _places(page: bytes, number: int) -> tuple[int, ...]:
    """Where the cells of a page begin."""
    header = _header(number)
    (count,) = struct.unpack_from(">H", page, header + 3)
    begin = header + (12 if page[header] in _INTERIOR else 8)
    places: tuple[int, ...] = struct.unpack_from(f">{count}H", page, begin)
    return places


def _children(page: bytes, number: int) -> Iterator[int]:
    for place in _places(page, number):
        yield _WORD.unpack_from(page, place)[0]
    yield _WORD.unpack_from(page, _header(number) + 8)[0]


def _size_of(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    return (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]


def _value(kind: int, data: bytes, encoding: str) -> Any:
    if kind == 0:
        return None
    if kind == 7:
        return struct.unpack(">d", data)[0]
    if kind in (8, 9):
        return kind - 8
    if kind < 7:
        return int.from_bytes(data, "big", signed=True)
    return data if kind % 2 == 0 else data.decode(encoding, "surrogateescape")
