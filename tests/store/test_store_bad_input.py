"""What a store says of a log that it must not use: each its own error, within a limit."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path

import pytest
import xxhash
from harness import Worker, WorkerError, spawn
from stores import spawn_store

from aurora_store.libmesos import fetch

_GOLDEN = Path(__file__).parents[1] / "golden" / "log-format-v1"
_LOG_WORKER = Path(__file__).with_name("entry_worker.py")


def _newer(entry: bytes) -> bytes:
    body = entry[:4] + struct.pack("<H", 7) + entry[6:-8]
    return body + struct.pack("<Q", xxhash.xxh3_64_intdigest(body))


def _flipped(entry: bytes) -> bytes:
    return entry[:40] + bytes([entry[40] ^ 1]) + entry[41:]


_LEADER = (_GOLDEN / "leader.bin").read_bytes()
_BATCH = (_GOLDEN / "batch.bin").read_bytes()


def _write_log(workers: ExitStack, directory: Path, entry: bytes) -> None:
    worker = workers.enter_context(spawn(_LOG_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())}))
    worker.call("write_entries", directory=str(directory), entries=[entry.hex()])
    worker.finish()


@pytest.mark.parametrize(
    ("entry", "error", "words"),
    [
        (b"the entry of another application", "Corrupt", "foreign entry"),
        (_flipped(_LEADER), "Corrupt", "checksum"),
        (_LEADER[:-20], "Corrupt", "damaged log"),
        (_BATCH, "Corrupt", "epoch"),
        (_newer(_LEADER), "FormatTooNew", "format version 7"),
    ],
    ids=["foreign", "bit-flipped", "truncated", "out-of-place", "newer-format"],
)
def test_an_entry_that_cannot_be_applied_is_named_and_the_replica_never_leads(
    workers: ExitStack, tmp_path: Path, entry: bytes, error: str, words: str
) -> None:
    _write_log(workers, tmp_path / "log", entry)
    worker = spawn_store(workers, directory=str(tmp_path / "log"))
    for function in ("lead", "catch_up"):
        with pytest.raises(WorkerError) as refused:
            worker.call(function, timeout=20.0)
        assert refused.value.type == error
        assert words in refused.value.message
        assert "position 1" in refused.value.message
    assert worker.call("status")["state"] == "failed"
    with pytest.raises(WorkerError) as unread:
        worker.call("query", statement="SELECT 1 FROM sqlite_master")
    assert unread.value.type == "LogUnavailable"
    assert _entries(worker, workers, tmp_path / "log") == 1, "the damaged log was written to"


def _entries(worker: Worker, workers: ExitStack, directory: Path) -> int:
    worker.call("close")
    worker.finish()
    reader = workers.enter_context(spawn(_LOG_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())}))
    return int(reader.call("count_entries", directory=str(directory)))


def test_a_wrong_quorum_is_refused_before_anything_is_opened(
    workers: ExitStack, tmp_path: Path
) -> None:
    with pytest.raises(WorkerError) as refused:
        spawn_store(
            workers,
            directory=str(tmp_path / "log"),
            quorum=3,
            peers=["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"],
            address="127.0.0.1:1",
        )
    assert refused.value.type == "ValueError" and "quorum" in refused.value.message
    assert not (tmp_path / "log").exists()


def test_an_unreachable_zookeeper_is_named_within_the_limit(
    workers: ExitStack, tmp_path: Path
) -> None:
    with pytest.raises(WorkerError) as refused:
        spawn_store(
            workers, directory=str(tmp_path / "log"), quorum=2, zookeeper="zk://127.0.0.1:1/log"
        )
    assert refused.value.type == "LogUnavailable" and "127.0.0.1:1" in refused.value.message
