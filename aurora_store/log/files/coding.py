"""How LevelDB and Protocol Buffers write numbers, and LevelDB's checksums."""

from __future__ import annotations

import google_crc32c

_MASK_DELTA = 0xA282EAD8
_MAX_VARINT = 10  # bytes


class Malformed(ValueError):
    """Bytes that cannot be what they should be; the message says why."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number of variable length at `at`, and where it ends.

    Raises:
        Malformed: the data ends within it, or it has more than 64 bits.
    """
    try:
        byte = data[at]
        if byte < 0x80:  # nearly all of them
            return byte, at + 1
        value = shift = 0
        for place in range(at, at + _MAX_VARINT):
            byte = data[place]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> 64:
                    break
                return value, place + 1
            shift += 7
    except IndexError:
        raise Malformed("it ends within a number") from None
    raise Malformed("a number has more than 64 bits")


def prefixed(data: bytes, at: int) -> tuple[bytes, int]:
    """The bytes at `at` that follow their length, and where they end."""
    length, begin = varint(data, at)
    end = begin + length
    if end > len(data):
        raise Malformed("it ends within a text")
    return data[begin:end], end


def checksum_fits(stored: int, data: bytes) -> bool:
    """Whether `stored` is LevelDB's checksum of the data: CRC-32C, rotated and moved."""
    crc: int = google_crc32c.value(data)
    rotated = ((crc >> 15) | (crc << 17)) & 0xFFFFFFFF
    return stored == (rotated + _MASK_DELTA) & 0xFFFFFFFF
