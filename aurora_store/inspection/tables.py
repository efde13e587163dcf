"""How many bytes of a log are changes of which table."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing

from aurora_store.errors import StoreError
from aurora_store.history import replay_to
from aurora_store.image import PAGE_BYTES
from aurora_store.inspection.btrees import owners
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
    replay = replay_to(DirectorySource(directory), progress=replaying)
    with closing(replay.connect()) as connection, replay.image() as image:
        rows = connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0")
        trees = [(SCHEMA, 1), *((str(name), int(root)) for name, root in rows.fetchall())]
        pages = image.page_count

        def read(number: int) -> bytes:
            page = image.read(number, 1)
            if len(page) != PAGE_BYTES:
                raise StoreError(f"the database has no page {number}")
            return page

        owner = owners(
            trees if pages else [],
            read,
            progress=None if walking is None else lambda seen: walking(seen, pages),
        )
    by_table: Counter[str] = Counter()
    for number, size in page_bytes.items():
        by_table[owner.get(number, NO_TABLE)] += size
    return by_table
