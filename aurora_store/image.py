"""A durable version of the database, held as it is, to copy it while everybody goes on.

with store.image() as image:
    image.write("/backup/scheduler.db")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from aurora_store._connection import refused
from aurora_store.atomic_file import written_beside
from aurora_store.errors import StoreClosed
from aurora_store.log import Position
from aurora_store.native import call, ffi, lib
from aurora_store.record import time_of

__all__ = ["PAGE_BYTES", "Image"]

PAGE_BYTES: Final = 4096
_PAGES_AT_A_TIME: Final = 256


class Image:
    """The durable version of the moment it is made. Threads may share it.

    It keeps the pages of its version in memory until `close`; readers and writers are not held up.

    Attributes:
        position: of the log entry that completed this version.
        time: the leader's clock in that entry, in UTC.
        epoch: the reign that wrote it.
        version: of the database; 0 is the empty one.
        page_count: of `PAGE_BYTES` each.
        checksum: of all pages, as the log has it.
    """

    def __init__(self, database: Any) -> None:
        """Holds the durable version of an `aur_database*`.

        Raises:
            LogUnavailable: the replica is still loading, or its copy failed a check.
            StoreClosed.
        """
        native, outcome = call(lib.aur_image_open, database)
        if native == ffi.NULL:
            raise refused(outcome.status, outcome.reason)
        self._native = ffi.gc(native, lib.aur_image_free)
        info = ffi.new("aur_image_info *")
        lib.aur_image_get_info(self._native, info)
        self.position: Final = Position(info.position)
        self.time_us: Final[int] = info.time_us
        self.epoch: Final[int] = info.epoch
        self.version: Final[int] = info.version
        self.page_count: Final[int] = info.page_count
        self.checksum: Final[int] = info.checksum

    @property
    def time(self) -> datetime:
        """The leader's clock when it made this version's entry, in UTC."""
        return time_of(self.time_us)

    def read(self, first_page: int, count: int) -> bytes:
        """Up to `count` pages from `first_page` (1, 2 ...) on, up to the end of the database.

        Raises:
            StoreClosed: the image was closed.
        """
        if self._native is None:
            raise StoreClosed("the image was closed")
        buffer = ffi.new("char[]", count * PAGE_BYTES)
        read = lib.aur_image_read(self._native, first_page, count, buffer)
        return bytes(ffi.buffer(buffer, read * PAGE_BYTES))

    def is_absent(self, page: int) -> bool:
        """Whether a page has no content: it is read as zeros, and not part of the checksum.

        Raises:
            StoreClosed: the image was closed.
        """
        if self._native is None:
            raise StoreClosed("the image was closed")
        return bool(lib.aur_image_is_absent(self._native, page))

    def chunks(self) -> Iterator[bytes]:
        """The bytes of this version as an ordinary SQLite file, a megabyte at a time."""
        for first in range(1, self.page_count + 1, _PAGES_AT_A_TIME):
            yield self.read(first, _PAGES_AT_A_TIME)

    def write(
        self,
        path: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Writes an ordinary SQLite file: beside `path`, on disk, then renamed; mode 0600.

        Args:
            progress: is told how many of how many pages are written.

        Raises:
            OSError: it cannot be written; a file that was there before is as it was.
        """
        done = 0
        with written_beside(path) as file:
            for chunk in self.chunks():
                file.write(chunk)
                done += len(chunk) // PAGE_BYTES
                if progress is not None:
                    progress(done, self.page_count)

    def close(self) -> None:
        """Lets the version go. Idempotent; no other call may be under way."""
        if self._native is not None:
            ffi.release(self._native)
            self._native = None

    def __enter__(self) -> Image:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
