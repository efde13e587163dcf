"""LevelDB's tables (``.ldb``, in older releases ``.sst``): keys in order, in blocks.

A table is data blocks, a block of their names, an index and a footer; of each block the index says
where it lies, and a key that no key in it goes beyond. A block is entries, whose keys share their
beginning with the key before, then the places where keys are whole, and behind it one byte
(compression) and a checksum (CRC-32C over block and that byte, masked). The footer is 48 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from aurora_store.log.files.coding import Malformed, checksum_fits, varint

_FOOTER = 48
_HANDLES = 40  # bytes of the footer for the places of two blocks
_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_BEHIND_BLOCK = struct.Struct("<BI")
_PLAIN, _SNAPPY = 0, 1
_WORD = struct.Struct("<I")
_TAG = struct.Struct("<Q")
_TRAILER = _TAG.size  # behind each key: sequence number and type
_DELETE, _PUT = 0, 1
_SNAPPY_RATIO = 32  # no snappy data unpacks to more than about 21 times its size
_BUFFER = 1 << 18

Item = tuple[bytes, int, bytes | None]
"""Key, sequence number, and value; no value if the key was deleted."""

Lost = tuple[bytes, bytes | None]
"""The keys after the first one, up to the second one or, without it, to the end of the table."""

Problem = Callable[[int, str, Lost | None], None]
"""Takes what cannot be read: offset, what is wrong, and the keys that are lost, if any are."""


def table_items(path: Path, first: bytes, problem: Problem) -> Iterator[Item]:
    """Everything in a table from the key `first` on: by key, and the newest of a key first.

    Each block is checked when it is reached, and left out if it is damaged.

    Raises:
        FileNotFoundError: the file is not there.
    """
    with path.open("rb", buffering=_BUFFER) as file:
        size = file.seek(0, 2)
        try:
            names, index = _footer(file, size)
        except Malformed as exc:
            problem(max(0, size - _FOOTER), f"its footer cannot be read: {exc}", (b"", None))
            return
        try:
            blocks = list(_index(_block(file, index, size)))
        except Malformed as exc:
            problem(index[0], f"its index cannot be read: {exc}", (b"", None))
            return
        before = b""
        for number, (last, handle) in enumerate(blocks):
            if last >= first:
                # The last one's key may be far beyond what is there.
                lost = before, last if number + 1 < len(blocks) else None
                try:
                    for key, sequence, value in _data(_block(file, handle, size), before, last):
                        if key >= first:
                            yield key, sequence, value
                except Malformed as exc:
                    problem(handle[0], f"a block cannot be read: {exc}", lost)
            before = last
        try:
            for _ in _entries(_block(file, names, size)):
                pass
        except Malformed as exc:
            # libmesos writes no filters, so nothing is looked up there.
            problem(names[0], f"its block of names cannot be read: {exc}", None)


def check_table(path: Path, size: int) -> None:
    """Makes sure that a table of that size has its footer and its index. Reads no data.

    Raises:
        Malformed: it does not; the message says why.
        OSError: the file is not there, or cannot be read.
    """
    with path.open("rb") as file:
        found = file.seek(0, 2)
        if found < size:  # of a longer one LevelDB reads that much
            raise Malformed(f"it has {found} bytes instead of {size}")
        try:
            _, index = _footer(file, size)
        except Malformed as exc:
            raise Malformed(f"its footer cannot be read: {exc}") from exc
        try:
            _stored(file, index, size)
        except Malformed as exc:
            raise Malformed(f"its index cannot be read: {exc}") from exc


def _data(block: bytes, before: bytes, last: bytes) -> Iterator[Item]:
    """The items of a data block, whose keys are after `before` and not after `last`."""
    previous = before
    for internal, value in _entries(block):
        if len(internal) < _TRAILER:
            raise Malformed("a key is too short")
        key = internal[:-_TRAILER]
        (tag,) = _TAG.unpack(internal[-_TRAILER:])
        kind = tag & 0xFF
        if not previous <= key <= last:
            raise Malformed("its keys are not in order")
        if kind not in (_DELETE, _PUT):
            raise Malformed(f"unknown type {kind}")
        previous = key
        yield key, tag >> 8, value if kind == _PUT else None


def _index(block: bytes) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """For each data block a key that no key in it goes beyond, and where it lies."""
    end = 0
    for internal, value in _entries(block):
        offset, length = _handle(value)
        if offset < end:
            raise Malformed("its blocks lie on top of each other")
        end = offset + length
        yield internal[:-_TRAILER], (offset, length)


def _footer(file: IO[bytes], size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    if size < _FOOTER:
        raise Malformed("the file is too short")
    file.seek(size - _FOOTER)
    footer = file.read(_FOOTER)
    if footer[_HANDLES:] != _MAGIC:
        raise Malformed("it does not end as a table does")
    offset, at = varint(footer, 0)
    length, at = varint(footer, at)
    index_offset, at = varint(footer, at)
    index_length, at = varint(footer, at)
    if at > _HANDLES or any(footer[at:_HANDLES]):
        raise Malformed("it is not filled with zeros")
    return (offset, length), (index_offset, index_length)


def _handle(value: bytes) -> tuple[int, int]:
    offset, at = varint(value, 0)
    length, _ = varint(value, at)
    return offset, length


def _block(file: IO[bytes], handle: tuple[int, int], size: int) -> bytes:
    data, compression = _stored(file, handle, size)
    if compression == _SNAPPY:
        return _unpacked(data)
    if compression != _PLAIN:
        raise Malformed(f"unknown compression {compression}")
    return data


def _stored(file: IO[bytes], handle: tuple[int, int], size: int) -> tuple[bytes, int]:
    """A block as it lies there, and its compression."""
    offset, length = handle
    if offset + length + _BEHIND_BLOCK.size > size - _FOOTER:
        raise Malformed("it goes past the end of the file")
    try:
        if file.tell() != offset:
            file.seek(offset)
        data = file.read(length + _BEHIND_BLOCK.size)
    except OSError as exc:
        raise Malformed(f"the disk does not give it back: {exc.strerror}") from exc
    if len(data) != length + _BEHIND_BLOCK.size:
        raise Malformed("the file ends within it")
    compression, checksum = _BEHIND_BLOCK.unpack_from(data, length)
    if not checksum_fits(checksum, data[: length + 1]):
        raise Malformed("it does not match its checksum")
    return data[:length], compression


def _unpacked(data: bytes) -> bytes:
    try:
        from cramjam import snappy
    except ImportError:
        raise Malformed('it is compressed with snappy, which needs the package "cramjam"') from None
    if varint(data, 0)[0] > _SNAPPY_RATIO * len(data):
        raise Malformed("it is said to unpack to more than it can")
    try:
        return bytes(snappy.decompress_raw(data))
    except Exception as exc:
        raise Malformed(f"it cannot be unpacked: {exc}") from exc


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block."""
    if len(block) < _WORD.size:
        raise Malformed("it is too short")
    (restarts,) = _WORD.unpack_from(block, len(block) - _WORD.size)
    end = len(block) - _WORD.size * (1 + restarts)
    if end < 0:
        raise Malformed("it is too short")
    at = 0
    key = b""
    while at < end:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or at + fresh + length > end:
            raise Malformed("an entry goes past its end")
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length
