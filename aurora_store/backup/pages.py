"""The checksum of a database, computed over its pages as they pass by."""

from __future__ import annotations

from collections.abc import Callable

import xxhash

from aurora_store.image import PAGE_BYTES

_ZEROS = bytes(PAGE_BYTES)


class DatabaseChecksum:
    """What the log calls the checksum: the XOR of each page's XXH3, seeded with its number.

    Args:
        is_absent: whether a page that reads as zeros is not there at all, and does not count.
    """

    def __init__(self, is_absent: Callable[[int], bool]) -> None:
        self._is_absent = is_absent
        self.value = 0
        self.pages = 0
        self.absent: list[int] = []

    def add(self, pages: bytes) -> None:
        """The next pages: a multiple of 4096 bytes."""
        for start in range(0, len(pages), PAGE_BYTES):
            page = pages[start : start + PAGE_BYTES]
            self.pages += 1
            if page == _ZEROS and self._is_absent(self.pages):
                self.absent.append(self.pages)
            else:
                self.value ^= xxhash.xxh3_64_intdigest(page, seed=self.pages)
