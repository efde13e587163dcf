"""Processes that run functions for a benchmark, and that it may kill."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from aurora_store.dev.loopback import free_ports

_LIMIT_S = 1800.0
_context = multiprocessing.get_context("spawn")


class Process:
    """A new Python process. It runs one function at a time; arguments and results are pickled."""

    def __init__(self) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Runs a function there and returns what it returned."""
        self.start(function, *arguments, **options)
        return self.result()

    def start(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Runs a function there without waiting; ask for its `result` before the next one."""
        self._pipe.send((function, arguments, options))

    def result(self) -> Any:
        """What the function that was started returned."""
        if not self._pipe.poll(_LIMIT_S):
            raise TimeoutError(f"a benchmark's process did not answer within {_LIMIT_S:g} s")
        value, failure = self._pipe.recv()
        if failure is not None:
            raise RuntimeError(f"in a benchmark's process:\n{failure}")
        return value

    def kill(self) -> None:
        """As ``kill -9``."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


def free_addresses(count: int) -> list[str]:
    """Addresses on the loopback that nobody listens on."""
    return [f"127.0.0.1:{port}" for port in free_ports(count)]


def _serve(pipe: Connection) -> None:
    while True:
        try:
            function, arguments, options = pipe.recv()
        except EOFError:
            return
        answer: tuple[Any, str | None]
        try:
            answer = (function(*arguments, **options), None)
        except Exception:
            answer = (None, traceback.format_exc())
        pipe.send(answer)
