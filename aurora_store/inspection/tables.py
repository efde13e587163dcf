"""How many bytes of a log are changes of which table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing

from aurora_store.errors import StoreError
from aurora_store.image import PAGE_BYTES
from aurora_store.inspection.btrees import owners
from aurora_store.log import Entry, Position
from aurora_store.log.files import Kind, Progress, ReplicaDirectory
from aurora_store.replay import Replay

SCHEMA = "(schema)"
NO_TABLE = "(no table any more)"


def bytes_by_table(
    replica: ReplicaDirectory,
    page_bytes: Counter[int],
    *,
    replaying: Progress | None = None,
    walking: Callable[[int, int], None] | None = None,
) -> Counter[str]:
    """Sums the bytes of pages by the table or index they belong to at the log's end.

    Applies the log to a database in memory, which takes as much of it as that is large.

    Raises:
        StoreError: the log cannot be applied; the message says at which position.
    """
    replay = Replay()
    for action in replica.entries(progress=replaying):
        if action.kind is Kind.APPEND and action.learned:
            replay.apply(Entry(Position(action.position), action.data))
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
