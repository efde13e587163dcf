"""Runs the functions of a module in another process, and lets a test kill, stop or question it.

libprocess can be started once per process only, and half of what is worth testing about a
replicated log is what happens when a process dies. So each scenario has processes of its own:

    with spawn(Path("log_worker.py")) as worker:
        worker.call("open", directory="...")
        pending = worker.start("append", data="x")   # does not wait
        worker.stop()                                # SIGSTOP
        pending.result(limit=5.0)

A call is one line of JSON to the worker's standard input, an answer one line from its output. Each
call runs in a thread of its own, so one that waits does not keep others from running.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from aurora_store.dev.loopback import free_ports

__all__ = ["LIMIT", "Pending", "Worker", "WorkerDied", "WorkerError", "free_ports", "spawn"]

LIMIT = 30.0  # seconds that anything may take which has no limit of its own


class WorkerError(Exception):
    """A call raised an exception in the worker; `type` is the name of its class."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(f"{error['type']}: {error['message']}")
        self.type = error["type"]
        self.message = error["message"]
        self.trace = error["trace"]


class WorkerDied(Exception):
    """The worker ended before it answered."""


class Pending:
    """A call that was sent and not answered yet."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._answer: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def answered(self, answer: dict[str, Any] | None) -> None:
        """Of the thread that reads answers; ``None`` if the worker died."""
        self._answer.put(answer)

    def result(self, *, limit: float = LIMIT) -> Any:
        """What the function returned, or `WorkerError` with what it raised."""
        try:
            answer = self._answer.get(timeout=limit)
        except queue.Empty:
            raise TimeoutError(f"the worker did not answer within {limit:g} s") from None
        if answer is None:
            code = self._worker.wait()
            raise WorkerDied(f"the worker ended with {code}: {self._worker.stderr()}")
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["value"]


class Worker:
    """A process that runs the functions of one module. Made by `spawn`."""

    def __init__(self, module: Path, environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(module)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(environment or {})},
        )
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._pending: dict[int, Pending] = {}  # guarded by _lock
        self._ended = False  # guarded by _lock
        self._stderr: list[str] = []
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._read_answers, self._read_stderr)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def call(self, function: str, *, limit: float = LIMIT, **arguments: Any) -> Any:
        """Calls a function and waits for its result."""
        return self.start(function, **arguments).result(limit=limit)

    def start(self, function: str, **arguments: Any) -> Pending:
        """Calls a function without waiting."""
        pending = Pending(self)
        with self._lock:
            number = next(self._numbers)
            if self._ended:
                pending.answered(None)
                return pending
            self._pending[number] = pending
        request = {"number": number, "function": function, "arguments": arguments}
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the thread that reads answers tells
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return pending

    def kill(self) -> None:
        """As ``kill -9``."""
        self._process.kill()
        self.wait()

    def stop(self) -> None:
        """As ``kill -STOP``: the process stays, and does nothing until `resume`."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Ends `stop`."""
        self._process.send_signal(signal.SIGCONT)

    def finish(self, *, limit: float = LIMIT) -> int:
        """Lets the process end by itself; returns its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.wait(limit=limit)

    def wait(self, *, limit: float = LIMIT) -> int:
        """The exit code, once the process has ended."""
        code = self._process.wait(limit)
        for thread in self._threads:
            thread.join(limit)
        return code

    def stderr(self) -> str:
        """What the process has written to it so far."""
        return "".join(self._stderr)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a request that it never read
                    pipe.close()

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._lock:
                pending = self._pending.pop(answer["number"])
            pending.answered(answer)
        with self._lock:
            self._ended = True
            lost = list(self._pending.values())
            self._pending.clear()
        for pending in lost:
            pending.answered(None)

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        self._stderr.extend(self._process.stderr)


def spawn(module: Path, environment: dict[str, str] | None = None) -> Worker:
    """Starts a process for the functions of a module; the file's own folder is importable there."""
    return Worker(module, environment)


def _serve(path: Path) -> None:
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("worker_functions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Answers go where standard output went; a stray print goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    lock = threading.Lock()

    def answer(request: dict[str, Any]) -> None:
        reply: dict[str, Any] = {"number": request["number"]}
        try:
            reply["value"] = getattr(module, request["function"])(**request["arguments"])
        except Exception as exc:
            reply["error"] = {
                "type": type(exc).__name__,
                "message": str(exc),
                "trace": traceback.format_exc(),
            }
        with lock:
            answers.write(json.dumps(reply) + "\n")

    for line in sys.stdin:
        threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
