"""The supervisor's side of one replica's process."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aurora_store.errors import StoreError

__all__ = ["NodeProcess", "Reply"]

_STDERR_LINES = 15

Report = Mapping[str, Sequence[int]]


class Reply:
    """The answer to one request, which may not have come yet."""

    def __init__(self, node: NodeProcess, function: str) -> None:
        self._node = node
        self._function = function
        self._answer: dict[str, Any] | None = None
        self._answered = threading.Event()

    def put(self, answer: dict[str, Any] | None) -> None:
        """Of the thread that reads answers; ``None``: the process ended."""
        self._answer = answer
        self._answered.set()

    def wait(self, limit: float) -> bool:
        """Waits up to `limit` seconds; returns whether the answer is there."""
        return self._answered.wait(limit)

    def get(self, limit: float) -> Any:
        """What the function returned.

        Raises:
            StoreError: it failed, the process ended, or it took longer than `limit` seconds.
        """
        if not self._answered.wait(limit):
            raise self._node.failed(f"did not answer '{self._function}' in {limit:g} s")
        answer = self._answer
        if answer is None:
            self._node.drain()
            raise self._node.failed(f"ended during '{self._function}'")
        if "error" in answer:
            raise self._node.failed(f"failed in '{self._function}': {answer['error']}")
        return answer["value"]


class NodeProcess:
    """A process that runs `aurora_store.demo.node`, or another module that serves as it does."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        report: Callable[[Report], None] = lambda report: None,
        *,
        module: str = "aurora_store.demo.node",
    ) -> None:
        self.name = name
        self.exited = threading.Event()
        self.exited_at = 0.0
        """When the process was seen to have ended; valid once `exited` is set."""
        self._report = report
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[int, Reply] = {}  # guarded by _lock
        self._ended = False  # guarded by _lock
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the supervisor, which ends the others
        )
        self._readers = [
            threading.Thread(target=target, daemon=True)
            for target in (self._read_answers, self._read_stderr)
        ]
        for thread in [*self._readers, threading.Thread(target=self._watch, daemon=True)]:
            thread.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def start(self, function: str, **arguments: Any) -> Reply:
        """Asks for something without waiting."""
        reply = Reply(self, function)
        with self._lock:
            if self._ended:
                reply.put(None)
                return reply
            number = next(self._numbers)
            self._waiting[number] = reply
        request = {"number": number, "function": function, "arguments": arguments}
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # the thread that reads answers tells
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return reply

    def call(self, function: str, *, limit: float = 60.0, **arguments: Any) -> Any:
        """Asks for something and waits for the answer. Raises as `Reply.get`."""
        return self.start(function, **arguments).get(limit)

    def kill(self) -> None:
        """As ``kill -9``; returns at once, see `exited`."""
        self._process.kill()

    def drain(self, limit: float = 10.0) -> None:
        """Waits until all that the ended process had written is read."""
        for thread in self._readers:
            thread.join(limit)
            if thread.is_alive():
                raise self.failed(f"was killed and its output did not end in {limit:g} s")

    def end(self, limit: float = 10.0) -> None:
        """Kills the process if it runs, and waits until it has gone."""
        self._process.kill()
        self.exited.wait(limit)
        for thread in self._readers:
            thread.join(limit)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a request that it never read
                    pipe.close()

    def failed(self, what: str) -> StoreError:
        """An error that says what this process last wrote to its standard error."""
        tail = "".join(self._stderr).rstrip()
        return StoreError(f"{self.name} {what}" + (f"; its last words:\n{tail}" if tail else ""))

    def _watch(self) -> None:
        self._process.wait()
        self.exited_at = time.monotonic()
        self.exited.set()

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # the last line of a process that was killed while it wrote
            if "report" in message:
                self._report(message["report"])
                continue
            with self._lock:
                reply = self._waiting.pop(message["number"])
            reply.put(message)
        with self._lock:
            self._ended = True
            lost = list(self._waiting.values())
            self._waiting.clear()
        for reply in lost:
            reply.put(None)

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._stderr.append(line)
