"""A log whose positions are nearly used up: nothing is written that a restart could not read."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from directories import batch, make_database, spawn_log
from harness import WorkerError

_LAST = 2**31 - 2 - 1024


def _varint(value: int) -> bytes:
    data = b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def _log_that_begins_at(position: int, directory: Path) -> None:
    """What a replica's directory is like after a truncation to its last position."""
    at = _varint(position)
    voting = b"\x08\x03\x22\x04\x08\x01\x10\x00"
    truncated = b"\x08" + at + b"\x10\x00\x18\x00\x20\x01\x28\x03\x42" + bytes([1 + len(at)])
    action = truncated + b"\x08" + at
    record = b"\x08\x02\x1a" + bytes([len(action)]) + action
    make_database(directory, batch(1, **{"0000000000": voting, f"{position + 1:010d}": record}))


def test_a_log_at_its_last_position_takes_no_more_and_keeps_what_it_has(
    workers: ExitStack, tmp_path: Path
) -> None:
    _log_that_begins_at(_LAST - 3, tmp_path / "log")
    worker = spawn_log(workers, directory=str(tmp_path / "log"))
    assert worker.call("elect") == _LAST - 3
    for position in (_LAST - 2, _LAST - 1, _LAST):
        assert worker.call("append", data=str(position)) == position
    with pytest.raises(WorkerError, match="LogFailed.*begin a new log.*recovery stage"):
        worker.call("append", data="one too many")
    worker.call("close")
    worker.finish()
    again = spawn_log(workers, directory=str(tmp_path / "log"))
    assert again.call("elect") == _LAST
    assert again.call("beginning") == _LAST - 3
