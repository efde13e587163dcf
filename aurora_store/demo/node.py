"""One replica's process: ``python -m aurora_store.demo.node``, driven over its standard input.

A request is one line of JSON (``number``, ``function``, ``arguments``), the answer one line on the
standard output (``number`` and ``value`` or ``error``). Between them come reports, which have no
number: the events whose commits have returned since the last one. The process ends with its input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from aurora_store.demo import trace as traces
from aurora_store.demo import workload
from aurora_store.errors import (
    CommitOutcomeUnknown,
    LeadershipLost,
    NotLeader,
    StoreError,
    WriterBusy,
)
from aurora_store.store import Store

_REPORT_INTERVAL_S = 0.005


class Output:
    """Lines of JSON for the supervisor, from any thread."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def write(self, message: dict[str, Any]) -> None:
        """Writes one line, at once."""
        with self._lock:
            self._file.write(json.dumps(message) + "\n")
            self._file.flush()


class Replay:
    """Several writers that run a part of the trace, each the events of its own tasks, in order."""

    def __init__(
        self, store: Store, events: Sequence[traces.Event], writers: int, check: bool, out: Output
    ) -> None:
        self._store = store
        self._out = out
        self._check = check
        self._lock = threading.Lock()
        self._news: dict[str, list[int]] = {}  # guarded by _lock
        self._first_commit: float | None = None  # guarded by _lock
        self._ended = threading.Event()
        self._stopped: str | None = None
        self._error: Exception | None = None
        parts = [[e for e in events if e.task.id % writers == n] for n in range(writers)]
        self._threads = [
            threading.Thread(target=self._write, args=(part,), daemon=True) for part in parts
        ]

    def run(self) -> dict[str, Any]:
        """Runs it. ``stopped`` says why this replica could not go on, if so."""
        reporter = threading.Thread(target=self._report, daemon=True)
        reporter.start()
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        self._ended.set()
        reporter.join()
        if self._error is not None:
            raise self._error
        return {"stopped": self._stopped, "first_commit": self._first_commit}

    def _write(self, events: Sequence[traces.Event]) -> None:
        for event in events:
            if self._stopped or self._error:
                return
            try:
                self._tell(self._run_one(event), event.id)
            except CommitOutcomeUnknown as exc:
                self._tell("unknown", event.id)
                self._stopped = str(exc)
            except (LeadershipLost, NotLeader, WriterBusy) as exc:
                self._stopped = str(exc)  # certainly not in the log: it will be sent again
            except Exception as exc:
                self._error = exc

    def _run_one(self, event: traces.Event) -> str:
        with self._store.begin() as connection:
            if self._check and workload.found(connection, event):
                return "found"
            workload.apply(connection, event)
        return "acknowledged"

    def _tell(self, kind: str, event: int) -> None:
        now = time.monotonic()
        with self._lock:
            self._news.setdefault(kind, []).append(event)
            if kind == "acknowledged" and self._first_commit is None:
                self._first_commit = now

    def _report(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(_REPORT_INTERVAL_S)
            with self._lock:
                news, self._news = self._news, {}
            if news:
                self._out.write({"report": news})


class Node:
    """What the supervisor can ask for."""

    def __init__(self, store: Store, trace: traces.Trace, out: Output) -> None:
        self._store = store
        self._trace = trace
        self._out = out

    def wait_caught_up(self, timeout: float) -> int:
        """The position up to which this replica has read the log."""
        return int(self._store.wait_caught_up(timeout=timeout))

    def lead(self, timeout: float) -> dict[str, float]:
        """Becomes the leader; returns how long the steps took, in seconds."""
        timing = self._store.lead(timeout=timeout)
        return {
            "election": timing.election_s,
            "catch_up": timing.catch_up_s,
            "leader_entry": timing.leader_entry_s,
        }

    def create(self) -> None:
        """Makes the tables and the hosts."""
        with self._store.begin() as connection:
            workload.create(connection, self._trace)

    def run(self, events: list[int], writers: int, check: bool) -> dict[str, Any]:
        """Runs these events; `check` looks first whether the database has them already."""
        chosen = [self._trace.events[number] for number in events]
        return Replay(self._store, chosen, writers, check, self._out).run()

    def position(self) -> int:
        """The last position that is durable here."""
        return int(self._store.position)

    def inspect(self, position: int, timeout: float) -> dict[str, Any]:
        """What this replica has once it has applied `position`."""
        self._store.wait_for(position, timeout=timeout)
        with self._store.read() as connection:
            answer = workload.inspect(connection)
        computed, kept = self._store.verify_checksum()
        status = self._store.status()
        return {
            **answer,
            "state": status.state.value,
            "position": int(status.position),
            "version": status.version,
            "checksum": f"{status.checksum:016x}",
            "recomputed": f"{computed:016x}",
            "kept": f"{kept:016x}",
        }


def _answer(node: object, request: dict[str, Any], out: Output) -> None:
    reply: dict[str, Any] = {"number": request["number"]}
    try:
        reply["value"] = getattr(node, request["function"])(**request["arguments"])
    except Exception as exc:
        reply["error"] = f"{type(exc).__name__}: {exc}"
    out.write(reply)


def take_output() -> Output:
    """Answers go where standard output went; a stray print goes to standard error."""
    out = Output(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)
    return out


def serve(node: object, out: Output) -> None:
    """Answers requests with the methods of `node`, each in a thread, until the input ends."""
    for line in sys.stdin:
        arguments = (node, json.loads(line), out)
        threading.Thread(target=_answer, args=arguments, daemon=True).start()


def main() -> None:
    """Opens the replica and serves requests until the input ends."""
    parser = argparse.ArgumentParser(prog="aurora_store.demo.node")
    parser.add_argument("--directory", required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--initialize", action="store_true")
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--trace", type=Path)
    given = parser.parse_args()
    out = take_output()
    trace = traces.load(given.trace, given.tasks)
    try:
        store = Store.open(
            given.directory,
            peers=given.peer,
            address=given.address,
            auto_initialize=given.initialize,
        )
    except StoreError as exc:
        sys.exit(f"{type(exc).__name__}: {exc}")
    serve(Node(store, trace, out), out)
    store.close()
    os._exit(0)  # requests that wait do not hold it up


if __name__ == "__main__":
    main()
