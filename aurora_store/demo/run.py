"""The supervisor: three replicas, a trace, a killed leader, and what must hold afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aurora_store.demo import trace as traces
from aurora_store.demo.ledger import Ledger, differences_of
from aurora_store.demo.process import NodeProcess, Reply, Report
from aurora_store.dev.loopback import free_ports
from aurora_store.errors import StoreError

__all__ = ["STEPS", "Options", "run"]

STEPS = {
    "start": "Starting three replicas",
    "before": "Replaying the trace",
    "takeover": "Killing the leader",
    "after": "Going on with the new leader",
    "restart": "Starting the killed replica again",
    "check": "Checking every replica",
}
"""The steps that a run reports progress of, and what to call them."""

_REPLICAS = 3
_START_LIMIT_S = 60.0
_LEAD_LIMIT_S = 30.0
_STALL_LIMIT_S = 60.0  # without a single commit
_ATTEMPTS = 5  # to lead again, should leadership be lost without a kill

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        trace: folder of a trace; ``None``: a generated one.
        tasks: how many tasks of it.
        writers: threads of the leader that write.
        directory: for the replicas' data; ``None``: a temporary one.
        kill_at: share of the events that are acknowledged when the leader is killed.
    """

    trace: Path | None = None
    tasks: int | None = None
    writers: int = 4
    directory: Path | None = None
    kill_at: float = 0.5


class Cluster:
    """The three processes."""

    def __init__(self, options: Options, directory: Path, report: Callable[[Report], None]) -> None:
        self._options = options
        self._directory = directory
        self._report = report
        self._addresses = [f"127.0.0.1:{port}" for port in free_ports(_REPLICAS)]
        self.nodes: list[NodeProcess] = []

    def start(self, number: int, *, initialize: bool) -> NodeProcess:
        """Starts the process of one replica."""
        arguments = ["--address", self._addresses[number]]
        arguments += ["--directory", str(self._directory / f"replica-{number + 1}")]
        for other, address in enumerate(self._addresses):
            if other != number:
                arguments += ["--peer", address]
        if initialize:
            arguments.append("--initialize")
        if self._options.tasks is not None:
            arguments += ["--tasks", str(self._options.tasks)]
        if self._options.trace is not None:
            arguments += ["--trace", str(self._options.trace)]
        return NodeProcess(f"replica {number + 1}", arguments, self._report)

    def start_all(self) -> None:
        """Starts all of them, and returns once each has caught up with the log."""
        for number in range(_REPLICAS):
            self.nodes.append(self.start(number, initialize=True))
        replies = [node.start("wait_caught_up", timeout=_START_LIMIT_S) for node in self.nodes]
        for reply in replies:
            reply.get(_START_LIMIT_S + 5)

    def restart(self, number: int) -> None:
        """Starts a killed one again, and returns once it has caught up with the log."""
        self.nodes[number].end()
        self.nodes[number] = self.start(number, initialize=False)
        self.nodes[number].call("wait_caught_up", timeout=_START_LIMIT_S, limit=_START_LIMIT_S + 5)

    def end(self) -> None:
        """Ends every process."""
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            node.end()


def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Runs the demo; the answer's ``differences`` is empty if everything held.

    Raises:
        TraceError: the trace cannot be read.
        StoreError: a replica failed, or took too long.
    """
    trace = traces.load(options.trace, options.tasks)
    total = len(trace.events)
    ledger = Ledger(kill_count=max(1, int(total * options.kill_at)))
    with ExitStack() as stack:
        directory = stack.enter_context(_directory(options.directory))
        cluster = Cluster(options, directory, ledger.add)
        stack.callback(cluster.end)
        progress("start", 0, 1)
        cluster.start_all()
        cluster.nodes[0].call("lead", timeout=_LEAD_LIMIT_S)
        cluster.nodes[0].call("create")
        progress("start", 1, 1)
        replay = Replay(cluster, ledger, total, options.writers, progress)
        replay.until_kill(options.kill_at)
        replay.take_over()
        progress("restart", 0, 1)
        cluster.restart(0)
        progress("restart", 1, 1)
        progress("check", 0, 1)
        position = cluster.nodes[1].call("position")
        replicas = [
            {
                "name": node.name,
                **node.call("inspect", position=position, timeout=60.0, limit=90.0),
            }
            for node in cluster.nodes
        ]
        progress("check", 1, 1)
    differences = differences_of(ledger, total, len(trace.hosts), replicas)
    for replica in replicas:
        del replica["events"]
    return {
        "ok": not differences,
        "differences": differences,
        "trace": "generated" if options.trace is None else str(options.trace),
        "hosts": len(trace.hosts),
        "tasks": len(trace.tasks),
        "writers": options.writers,
        "events": total,
        "acknowledged": len(ledger.settled()),
        "acknowledged_before_kill": replay.acknowledged_before,
        "found_after_kill": len(ledger.found),
        "unknown": len(ledger.unknown),
        "commits_per_s": {key: round(value, 1) for key, value in replay.rates().items()},
        "takeover_ms": {step: round(1000 * value, 3) for step, value in replay.takeover().items()},
        "replicas": replicas,
    }


class Replay:
    """The trace's way through two leaders, with the times that matter."""

    def __init__(
        self, cluster: Cluster, ledger: Ledger, total: int, writers: int, progress: Progress
    ) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._total = total
        self._writers = writers
        self._progress = progress
        self._began = self._killed = self._first_commit = self._finished = 0.0
        self._steps: dict[str, float] = {}
        self.acknowledged_before = 0

    def until_kill(self, kill_at: float) -> None:
        """Replays with the first replica until enough is acknowledged."""
        # Some events are left for the next leader in any case, however late the kill is.
        last = min(self._total - 1, int(self._total * (1 + kill_at) / 2))
        leader = self._cluster.nodes[0]
        self._began = time.monotonic()
        running = self._start(leader, range(last), check=False)
        self._follow(leader, running, "before", range(last), self._ledger.kill_now)

    def take_over(self) -> None:
        """Kills the leader, makes the second replica lead and replays the rest with it."""
        self._progress("takeover", 0, 1)
        old, new = self._cluster.nodes[:2]
        self._killed = time.monotonic()
        old.kill()
        if not old.exited.wait(10.0):
            raise old.failed("was killed and did not end in 10 s")
        leading = new.start("lead", timeout=_LEAD_LIMIT_S)
        old.drain()  # acknowledgements that it had sent count
        self.acknowledged_before = len(self._ledger.acknowledged)
        self._steps = {"detection": old.exited_at - self._killed}
        self._steps.update(leading.get(_LEAD_LIMIT_S + 5))
        every = range(self._total)
        running = self._start(new, every, check=True)
        self._progress("takeover", 1, 1)
        self._first_commit = self._follow(new, running, "after", every)
        self._finished = time.monotonic()

    def takeover(self) -> dict[str, float]:
        """The seconds from the kill to the first commit, split.

        ``first_commit`` is what the other steps leave of ``total``: mostly the supervisor's way of
        telling the new leader which events are left, and the first transaction.
        """
        total = self._first_commit - self._killed
        rest = total - sum(self._steps.values())
        return {**self._steps, "first_commit": rest, "total": total}

    def _start(self, node: NodeProcess, events: range, *, check: bool) -> Reply:
        settled = self._ledger.settled()
        left = [event for event in events if event not in settled]
        return node.start("run", events=left, writers=self._writers, check=check)

    def _follow(
        self,
        node: NodeProcess,
        running: Reply,
        step: str,
        events: range,
        enough: threading.Event | None = None,
    ) -> float:
        """Waits until the events are done, or it is enough; returns when the first commit was."""
        first_commit = 0.0
        attempts = 1
        seen, seen_at = -1, time.monotonic()
        while enough is None or not enough.is_set():
            done = len(self._ledger.acknowledged) + len(self._ledger.found)
            now = time.monotonic()
            if done > seen:
                seen, seen_at = done, now
                self._progress(step, done, self._total)
            elif now - seen_at > _STALL_LIMIT_S:
                raise node.failed(f"committed nothing for {_STALL_LIMIT_S:g} s")
            if not running.wait(0.02):
                continue
            result = running.get(0.0)
            first_commit = first_commit or result["first_commit"] or 0.0
            if not result["stopped"]:
                break
            if attempts == _ATTEMPTS:
                raise node.failed(f"lost leadership {attempts} times: {result['stopped']}")
            attempts += 1
            node.call("lead", timeout=_LEAD_LIMIT_S, limit=_LEAD_LIMIT_S + 5)
            running = self._start(node, events, check=True)
        self._progress(step, self._total if enough is None else seen, self._total)
        return first_commit

    def rates(self) -> dict[str, float]:
        """Commits per second, before the kill and after the takeover."""
        after = len(self._ledger.acknowledged) - self.acknowledged_before
        return {
            "before": self.acknowledged_before / max(self._killed - self._began, 1e-9),
            "after": after / max(self._finished - self._first_commit, 1e-9),
        }


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is None:
        with TemporaryDirectory(prefix="aurora-store-demo-", ignore_cleanup_errors=True) as made:
            yield Path(made)
        return
    given.mkdir(parents=True, exist_ok=True)
    if any(given.iterdir()):
        raise StoreError(f"{given} is not empty: the demo begins new logs", hint="name another")
    yield given
