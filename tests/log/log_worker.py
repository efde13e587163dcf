"""One replica of a log in a process of its own: the functions that the tests here call in it."""

from __future__ import annotations

import os
import time
from typing import Any
from unittest import mock

from aurora_store.errors import StoreClosed
from aurora_store.log import Log, Stream

_logs: dict[str, Log] = {}
_streams: dict[str, Stream] = {}
_UNNAMED = ""


def open_log(name: str = _UNNAMED, **options: Any) -> str:
    """Opens a log; returns the address of this process."""
    _logs[name] = Log.open(options.pop("directory"), **options)
    return _logs[name].address


def own_address() -> str:
    """Of this process."""
    return _logs[_UNNAMED].address


def close(name: str = _UNNAMED) -> float:
    """Returns how long it took."""
    begin = time.monotonic()
    _logs[name].close()
    return time.monotonic() - begin


def elect(timeout: float = 20.0) -> int:
    return int(_logs[_UNNAMED].elect(timeout=timeout))


def append(data: str, timeout: float = 20.0) -> int:
    return int(_logs[_UNNAMED].append(data.encode(), timeout=timeout))


def append_hex(data: str) -> int:
    """Any bytes."""
    return int(_logs[_UNNAMED].append(bytes.fromhex(data)))


def append_many(count: int, size: int = 100, timeout: float = 20.0) -> int:
    """Returns the position of the last one."""
    return max(int(_logs[_UNNAMED].append(b"x" * size, timeout=timeout)) for _ in range(count))


def truncate(to: int, timeout: float = 20.0) -> int:
    return int(_logs[_UNNAMED].truncate(to, timeout=timeout))


def beginning(timeout: float = 20.0) -> int:
    return int(_logs[_UNNAMED].beginning(timeout=timeout))


def ending(timeout: float = 20.0) -> int:
    return int(_logs[_UNNAMED].ending(timeout=timeout))


def catchup(timeout: float = 20.0) -> int:
    return int(_logs[_UNNAMED].catchup(timeout=timeout))


def read(from_: int, to: int) -> list[tuple[int, str]]:
    return [(int(e.position), e.data.decode()) for e in _logs[_UNNAMED].read(from_, to)]


def stream(from_: int | None = None, to: int | None = None) -> list[tuple[int, str]]:
    """Everything, or what is in the range."""
    return [
        (int(entry.position), entry.data.decode())
        for entry in _logs[_UNNAMED].stream(from_=from_, to=to)
    ]


def follow(name: str, from_: int | None = None) -> None:
    """Begins a stream without an end."""
    _streams[name] = _logs[_UNNAMED].stream(from_=from_, follow=True)


def next_of(name: str, count: int = 1, timeout: float = 20.0) -> list[str]:
    """The next entries of a stream that was begun."""
    entries = []
    for _ in range(count):
        entry = _streams[name].next(timeout=timeout)
        assert entry is not None
        entries.append(entry.data.decode())
    return entries


def cancel(name: str) -> None:
    _streams[name].cancel()


def open_unchecked(directory: str) -> None:
    """Opens a log without the checks that `Log.open` makes."""
    with mock.patch("aurora_store.log.log.check_directory", return_value=True):
        Log.open(directory)


def alive() -> bool:
    """Whether the process is."""
    return True


def fork() -> int:
    """Forks a child that tries to use the log, and drops it; returns its exit code.

    By hand: multiprocessing would close standard input, which another thread is reading.
    """
    child = os.fork()
    if child == 0:
        try:
            append("from the child")
        except StoreClosed:
            _logs.clear()
            _streams.clear()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def compact(timeout: float = 60.0) -> int:
    return int(_logs[_UNNAMED].compact(timeout=timeout))


def can_compact() -> bool:
    return _logs[_UNNAMED].can_compact


def disk_usage() -> int:
    return _logs[_UNNAMED].disk_usage()
