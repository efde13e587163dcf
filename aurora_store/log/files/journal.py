"""LevelDB's log format: of the write-ahead logs (``.log``) and of the manifest.

A file is blocks of 32 KiB. A record lies in one fragment, or in several if it goes past the end of
a block; a block's last bytes that no header fits into are zeros. A fragment is::

    checksum  4    CRC-32C over type and data, masked
    length    2
    type      1    1 the whole record, 2 its first fragment, 3 a middle one, 4 its last
    data
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from aurora_store.log.files.coding import checksum_fits
from aurora_store.log.files.damage import Damage, Report

_BLOCK = 32768
_HEADER = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(1, 5)
_NO_CHECKSUM = "a record does not match its checksum"


@dataclass(slots=True)
class Journal:
    """The records of one file, to iterate over once. Damage is reported, and reading goes on."""

    name: str
    data: bytes
    report: Report

    torn_at: int | None = None
    """Where the file ends within a record, known once all was read. A crash leaves it so, and a
    write under way shows so; such a record was never acknowledged."""

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Offset and data of each record."""
        parts: list[bytes] = []
        begin = 0
        skipping = False  # the rest of a record whose damage was reported
        for at, kind, data in self._fragments():
            if kind in (_WHOLE, _FIRST):
                if parts:
                    self._damaged(begin, "a record has no end")
                parts, begin, skipping = [data], at, False
            elif parts and kind is not None:
                parts.append(data)
            else:
                if not skipping and kind is not None:
                    self._damaged(at, "a record has no beginning")
                parts, skipping = [], True
                continue
            if kind in (_WHOLE, _LAST):
                yield begin, b"".join(parts)
                parts = []
        if parts:
            self.torn_at = begin

    def _fragments(self) -> Iterator[tuple[int, int | None, bytes]]:
        """Offset, type and data of each; no type: one that cannot be read."""
        at, end = 0, len(self.data)
        readable = True
        while at < end:
            fragment = self._fragment(at)
            if fragment is not None:
                readable = True
                yield at, *fragment
                at += _HEADER.size + len(fragment[1])
                continue
            left = _BLOCK - at % _BLOCK
            if left < _HEADER.size:
                at += left
                continue
            following = self._resume(at + 1, min(at + left, end))
            if following == end and self._cut_off(at):
                self.torn_at = at
                return
            if readable:  # damage over many blocks is said once
                self._damaged(at, _NO_CHECKSUM)
            readable = False
            yield at, None, b""
            at = following

    def _fragment(self, at: int) -> tuple[int, bytes] | None:
        """Type and data of what begins here, if it is a fragment and undamaged."""
        left = min(_BLOCK - at % _BLOCK, len(self.data) - at) - _HEADER.size
        if left < 0:
            return None
        checksum, length, kind = _HEADER.unpack_from(self.data, at)
        if length > left or not _WHOLE <= kind <= _LAST:
            return None
        body = self.data[at + _HEADER.size - 1 : at + _HEADER.size + length]
        return (kind, body[1:]) if checksum_fits(checksum, body) else None

    def _resume(self, at: int, end: int) -> int:
        """Where the block goes on after damage, which may have hit the length: or its end."""
        for place in range(at, end):
            if self._fragment(place) is not None:
                return place
        return end

    def _cut_off(self, at: int) -> bool:
        """Whether the file just ends too early here, or in zeros that a file system left."""
        rest = len(self.data) - at
        if rest < _HEADER.size:
            return True
        _, length, kind = _HEADER.unpack_from(self.data, at)
        if length + _HEADER.size > rest and _WHOLE <= kind <= _LAST:
            return True
        return self.data.count(0, at) == rest

    def _damaged(self, at: int, what: str) -> None:
        self.report(Damage(self.name, at, what))
