"""One version of a database to look at: its rows through SQLite, its pages as they are."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aurora_store.replay import Replay

_ENCODINGS = {1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}


class Version:
    """The version that a replay has now; it stays the same while the replay goes on.

    One thread at a time.
    """

    def __init__(self, replay: Replay) -> None:
        self.image = replay.image()
        self.connection = replay.connect()
        # What is no UTF-8 must be told apart too.
        self.connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        self.connection.begin()
        self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        header = self.page(1) if self.image.page_count else bytes(100)
        self.usable = 4096 - header[20]
        self.encoding = _ENCODINGS.get(header[59], "utf-8")
        self.has_pointer_map = header[52:56] != bytes(4)
        (self.first_free,) = struct.unpack_from(">I", header, 32)

    def page(self, number: int) -> bytes:
        """The 4096 bytes of a page."""
        return self.image.read(number, 1)

    def rows(self, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """What a query gives in this version."""
        rows: list[tuple[Any, ...]] = self.connection.execute(sql, parameters).fetchall()
        return rows

    def close(self) -> None:
        """Lets the version go."""
        self.connection.close()
        self.image.close()

    def __enter__(self) -> Version:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
