"""How many bytes of a log are changes of which table."""

from __future__ import annotations

import os
from collections import Counter

from aurora_store.differences import Version, btree
from aurora_store.history import replay_to
from aurora_store.sources import DirectorySource, Progress

SCHEMA = "(schema)"
NO_TABLE = "(no table any more)"


def bytes_by_table(
    directory: str | os.PathLike[str],
    page_bytes: Counter[int],
    *,
    replaying: Progress | None = None,
    walking: Progress | None = None,
) -> Counter[str]:
    """Sums the bytes of pages by the table or index they belong to at the log's end.

    Makes the database at the log's end, in memory.

    Raises:
        StoreError: the log cannot be applied; the message says at which position.
    """
    with Version(replay_to(DirectorySource(directory), progress=replaying)) as version:
        owner = _owners(version, walking)
    by_table: Counter[str] = Counter()
    for number, size in page_bytes.items():
        by_table[owner.get(number, NO_TABLE)] += size
    return by_table


def _owners(version: Version, progress: Progress | None) -> dict[int, str]:
    """The table or index that each page belongs to; pages of none (free ones) are left out."""
    pages = version.image.page_count
    if pages == 0:
        return {}
    rows = version.rows("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0")
    found: dict[int, str] = {}
    for name, root in [(SCHEMA, 1), *rows]:
        for number in btree.tree(version, root).pages:
            found[number] = name
            for cell in btree.cells(version, number):
                found.update(dict.fromkeys(btree.overflow_pages(version, cell), name))
            if progress is not None:
                progress(len(found), pages)
    return found
