"""Which table or index of a SQLite database each page belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from aurora_store.image import PAGE_BYTES

_INTERIOR_INDEX, _INTERIOR_TABLE, _LEAF_INDEX, _LEAF_TABLE = 2, 5, 10, 13
_INTERIOR = (_INTERIOR_INDEX, _INTERIOR_TABLE)
_FILE_HEADER = 100  # bytes of page 1 before its tree

ReadPage = Callable[[int], bytes]


def owners(
    trees: Iterable[tuple[str, int]],
    read: ReadPage,
    *,
    progress: Callable[[int], None] | None = None,
) -> dict[int, str]:
    """The tree that each page belongs to; pages of none (free ones) are left out.

    Args:
        trees: name and first page of each.
        read: gives the bytes of a page.
        progress: is told how many pages were seen.
    """
    found: dict[int, str] = {}
    for name, root in trees:
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in found or number == 0:
                continue
            found[number] = name
            page = read(number)
            children, overflows = _references(page, _FILE_HEADER if number == 1 else 0)
            waiting += children
            for first in overflows:
                for link in _chain(first, read):
                    if link in found:
                        break
                    found[link] = name
            if progress is not None:
                progress(len(found))
    return found


def _chain(number: int, read: ReadPage) -> Iterator[int]:
    while number:
        yield number
        number = int.from_bytes(read(number)[:4], "big")


def _references(page: bytes, at: int) -> tuple[list[int], list[int]]:
    """Pages below this one, and the first pages of contents that are too long for it."""
    kind = page[at]
    cells = int.from_bytes(page[at + 3 : at + 5], "big")
    interior = kind in _INTERIOR
    pointers = at + (12 if interior else 8)
    children = [_page_number(page, at + 8)] if interior else []
    overflows = []
    for cell in range(pointers, pointers + 2 * cells, 2):
        begin = int.from_bytes(page[cell : cell + 2], "big")
        if interior:
            children.append(_page_number(page, begin))
            begin += 4
        if kind != _INTERIOR_TABLE:
            overflow = _overflow(page, begin, kind == _LEAF_TABLE)
            if overflow:
                overflows.append(overflow)
    return children, overflows


def _overflow(page: bytes, at: int, table: bool) -> int:
    """Where a cell's content goes on, or 0."""
    size, at = _varint(page, at)
    if table:
        _, at = _varint(page, at)  # the row's number
    most = PAGE_BYTES - 35 if table else (PAGE_BYTES - 12) * 64 // 255 - 23
    if size <= most:
        return 0
    least = (PAGE_BYTES - 12) * 32 // 255 - 23
    local = least + (size - least) % (PAGE_BYTES - 4)
    return _page_number(page, at + (local if local <= most else least))


def _page_number(page: bytes, at: int) -> int:
    return int.from_bytes(page[at : at + 4], "big")


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(at, at + 8):
        byte = page[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | page[at + 8], at + 9
