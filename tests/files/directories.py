"""What the tests here share: real replicas, and LevelDB files made by hand."""

from __future__ import annotations

import hashlib
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import google_crc32c
from harness import Worker, spawn

from aurora_store.libmesos import fetch

_TESTS = Path(__file__).parents[1]


def spawn_log(workers: ExitStack, **options: Any) -> Worker:
    """Opens a log in a process of its own."""
    worker = workers.enter_context(
        spawn(_TESTS / "log" / "log_worker.py", {"AURORA_STORE_LIBMESOS": str(fetch())})
    )
    worker.call("open_log", **options)
    return worker


def spawn_store(workers: ExitStack, directory: Path) -> Worker:
    """Opens a store of one replica in a process of its own; it leads."""
    worker = workers.enter_context(
        spawn(Path(__file__).with_name("files_worker.py"), {"AURORA_STORE_LIBMESOS": str(fetch())})
    )
    worker.call("open_store", directory=str(directory))
    return worker


def fingerprint(directory: Path) -> dict[str, tuple[str, int]]:
    """Content and time stamp of every file: equal as long as nobody writes."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(directory.iterdir())
    }


def newest(directory: Path, pattern: str) -> Path:
    """The file with the highest number, ``*.log`` or ``*.ldb``."""
    return max(directory.glob(pattern))


def flip(path: Path, at: int, mask: int = 0x10) -> None:
    """Flips bits of one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= mask
    path.write_bytes(data)


def crc(data: bytes) -> int:
    """LevelDB's masked checksum."""
    plain = google_crc32c.value(data)
    return ((plain >> 15 | plain << 17) + 0xA282EAD8) & 0xFFFFFFFF


def journal(*records: bytes) -> bytes:
    """A file in LevelDB's log format; all records fit into its first block."""
    data = b"".join(struct.pack("<IHB", crc(b"\1" + each), len(each), 1) + each for each in records)
    assert len(data) < 32768
    return data


def text(data: bytes) -> bytes:
    """Bytes behind their length."""
    assert len(data) < 128
    return bytes([len(data)]) + data


def batch(sequence: int, **items: bytes) -> bytes:
    """A write to LevelDB: keys are the names of the arguments."""
    puts = (b"\1" + text(key.encode()) + text(value) for key, value in items.items())
    return struct.pack("<QI", sequence, len(items)) + b"".join(puts)


def make_database(directory: Path, *batches: bytes, comparator: bytes = b"Bytewise") -> None:
    """A LevelDB database whose writes are all in its log."""
    directory.mkdir()
    edit = b"\1" + text(b"leveldb." + comparator + b"Comparator") + b"\2\3\x09\0\3\4\4\0"
    (directory / "CURRENT").write_bytes(b"MANIFEST-000002\n")
    (directory / "MANIFEST-000002").write_bytes(journal(edit))
    (directory / "000003.log").write_bytes(journal(*batches))
