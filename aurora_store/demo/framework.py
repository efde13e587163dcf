"""The supervisor of ``aurora-store demo-framework``: candidates, Mesos, ZooKeeper, and kills.

Three processes run the example framework, and stand for election in ZooKeeper. Each task writes its
id into a file when it starts. The leader is killed again and again, with ``kill -9``; in the end
the store on every replica, the master and that file must agree on what happened.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aurora_store.demo.framework_check import History, differences_of
from aurora_store.demo.process import NodeProcess
from aurora_store.dev import MesosCluster, ZooKeeperServer
from aurora_store.dev.loopback import free_ports
from aurora_store.errors import WaitTimeout

__all__ = ["STEPS", "Options", "run"]

STEPS = {
    "start": "Starting ZooKeeper, Mesos and three candidates",
    "kills": "Killing leaders while tasks come and go",
    "settle": "Letting the last tasks end",
    "check": "Checking every replica and the master",
}
"""The steps that a run reports progress of, and what to call them."""

Progress = Callable[[str, int, int], None]

_CANDIDATES = 3
_INSTANCES = 6
_START_LIMIT_S = 60.0
_TAKEOVER_LIMIT_S = 60.0
_SETTLE_LIMIT_S = 120.0
_POLL_S = 0.01
# Resources come back at once, and the master remembers every task.
_MESOS = {
    "MESOS_ALLOCATION_INTERVAL": "50ms",
    "MESOS_MAX_COMPLETED_TASKS_PER_FRAMEWORK": "1000000",
}


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        kills: how many leaders are killed.
        early: share of them that are killed while they take over, not once they are active.
        pause_s: an active leader lives for up to so long, at random.
        session_timeout: of ZooKeeper, in seconds.
        seed: of all that is random.
    """

    kills: int = 2
    early: float = 0.0
    pause_s: tuple[float, float] = (4.0, 6.0)
    session_timeout: float = 2.0
    seed: int = 1


def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Runs the demo; the answer's ``differences`` is empty if everything held.

    Raises:
        StoreError: something did not start, or took too long.
    """
    progress("start", 0, 1)
    with candidates(options.session_timeout) as cluster:
        framework_id = cluster.status(cluster.wait_active())["framework_id"]
        progress("start", 1, 1)
        takeovers = list(Kills(options, cluster, progress).run())
        leader = cluster.wait_active()
        cluster.settle(leader, progress)
        progress("check", 0, 1)
        history = cluster.history(leader, framework_id)
        progress("check", 1, 1)
    differences = differences_of(history)
    replicas = [
        {**each, "tasks": len(each["tasks"]), "events": len(each["events"])}
        for each in history.replicas
    ]
    return {
        "ok": not differences,
        "differences": differences,
        "framework_id": framework_id,
        "kills": options.kills,
        "session_timeout_ms": round(1000 * options.session_timeout),
        "seed": options.seed,
        "tasks": replicas[0]["tasks"],
        "tasks_started": len(history.started),
        "takeovers": takeovers,
        "replicas": replicas,
    }


@contextmanager
def candidates(session_timeout: float) -> Iterator[Candidates]:
    """ZooKeeper, Mesos and three candidates that have caught up with the log, in a new directory.

    Raises:
        StoreError: something did not start.
    """
    for name, value in _MESOS.items():
        os.environ.setdefault(name, value)
    with ExitStack() as stack:
        made = TemporaryDirectory(prefix="aurora-store-demo-", ignore_cleanup_errors=True)
        directory = Path(stack.enter_context(made))
        zookeeper = stack.enter_context(ZooKeeperServer(directory / "zookeeper"))
        mesos = stack.enter_context(MesosCluster(2))
        cluster = Candidates(directory, zookeeper, mesos, session_timeout)
        stack.callback(cluster.end)
        cluster.start_all()
        yield cluster


class Candidates:
    """The three processes."""

    def __init__(
        self,
        directory: Path,
        zookeeper: ZooKeeperServer,
        mesos: MesosCluster,
        session_timeout: float,
    ) -> None:
        self.zookeeper = zookeeper
        self.mesos = mesos
        self._directory = directory
        self._session_timeout = session_timeout
        self._ports = free_ports(_CANDIDATES)
        self.nodes: list[NodeProcess] = []
        self.started = directory / "started"
        """Each task's id, once for each time that it has started."""
        self.started.touch(0o666)

    def start(self, number: int, *, initialize: bool) -> NodeProcess:
        """Starts the process of one candidate."""
        name = f"candidate-{number + 1}"
        arguments = {
            "--name": name,
            "--directory": str(self._directory / name),
            "--address": f"127.0.0.1:{self._ports[number]}",
            "--zookeeper": self.zookeeper.url("/example"),
            "--quorum": str(_CANDIDATES // 2 + 1),
            "--session-timeout": str(self._session_timeout),
            "--mesos": self.mesos.master,
            "--instances": str(_INSTANCES),
            "--command": f"echo $MESOS_EXECUTOR_ID >> {self.started}; sleep 0.$$",
        }
        words = [word for pair in arguments.items() for word in pair]
        if initialize:
            words.append("--auto-initialize")
        return NodeProcess(name, words, module="aurora_store.demo.framework_node")

    def start_all(self) -> None:
        """Starts all of them, and returns once each has caught up with the log."""
        self.nodes = [self.start(number, initialize=True) for number in range(_CANDIDATES)]
        replies = [node.start("wait_caught_up", timeout=_START_LIMIT_S) for node in self.nodes]
        for reply in replies:
            reply.get(_START_LIMIT_S + 5)

    def restart(self, number: int) -> None:
        """Starts one again that was killed; returns at once."""
        self.nodes[number].end()
        self.nodes[number] = self.start(number, initialize=False)

    def status(self, number: int) -> dict[str, Any]:
        """Of one candidate's framework."""
        return dict(self.nodes[number].call("status", limit=_START_LIMIT_S))

    def wait_active(self, *, elected: bool = False) -> int:
        """Which candidate is active, or at least elected, once one is.

        Raises:
            WaitTimeout: none within a minute.
            StoreError: one ended by itself.
        """
        states = {"active"} | ({"elected", "catching up", "registering"} if elected else set())
        deadline = time.monotonic() + _TAKEOVER_LIMIT_S
        while time.monotonic() < deadline:
            for number in range(_CANDIDATES):
                if self.status(number)["state"] in states:
                    return number
            time.sleep(_POLL_S)
        seen = {node.name: self.status(at)["state"] for at, node in enumerate(self.nodes)}
        raise WaitTimeout(f"no candidate took over within {_TAKEOVER_LIMIT_S:g} s: {seen}")

    def settle(self, leader: int, progress: Progress) -> None:
        """Launches nothing more, and waits until every task has ended.

        Raises:
            WaitTimeout: some have not after two minutes.
        """
        for node in self.nodes:
            node.call("launch_no_more")
        deadline = time.monotonic() + _SETTLE_LIMIT_S
        first = 0
        while still := self.nodes[leader].call("open_tasks"):
            first = max(first, len(still))
            progress("settle", first - len(still), first)
            if time.monotonic() > deadline:
                raise WaitTimeout(f"{len(still)} tasks have not ended: {', '.join(still)}")
            time.sleep(0.1)
        progress("settle", 1, 1)

    def history(self, leader: int, framework_id: str) -> History:
        """What happened, by all accounts, once every replica has what the leader has."""
        position = self.nodes[leader].call("position")
        arguments = {"position": position, "timeout": _START_LIMIT_S, "limit": 2 * _START_LIMIT_S}
        return History(
            framework_id=framework_id,
            state=self.mesos.get("/state"),
            started=self.started.read_text().split(),
            replicas=[
                {"name": node.name, **node.call("inspect", **arguments)} for node in self.nodes
            ],
        )

    def end(self) -> None:
        """Ends every process."""
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            node.end()


class Kills:
    """Kills one leader after the other, and measures how long each takeover takes."""

    def __init__(self, options: Options, cluster: Candidates, progress: Progress) -> None:
        self._options = options
        self._cluster = cluster
        self._leader = cluster.wait_active()
        self._progress = progress
        self._random = random.Random(options.seed)

    def run(self) -> Iterator[dict[str, Any]]:
        """Yields the steps of each takeover, in milliseconds."""
        early = False
        for number in range(self._options.kills):
            self._progress("kills", number, self._options.kills)
            if not early:
                time.sleep(self._random.uniform(*self._options.pause_s))
            killed, killed_at = self._leader, time.time()
            node = self._cluster.nodes[killed]
            node.kill()
            if not node.exited.wait(10.0):
                raise node.failed("was killed and did not end in 10 s")
            self._cluster.restart(killed)
            last = number + 1 == self._options.kills
            early = not last and self._random.random() < self._options.early
            self._leader = self._cluster.wait_active(elected=early)
            if not early:
                yield self._takeover(killed, killed_at)
        self._progress("kills", self._options.kills, self._options.kills)

    def _takeover(self, killed: int, killed_at: float) -> dict[str, Any]:
        status = self._cluster.status(self._leader)
        entered = {
            each["state"]: each["at"] for each in status["transitions"] if each["at"] > killed_at
        }
        steps = status["takeover"]
        seconds = {
            "detection": entered["elected"] - killed_at,
            "election": steps["election_s"],
            "catch_up": steps["catch_up_s"],
            "registration": steps["registration_s"],
            "services": steps["services_s"],
            "total": entered["active"] - killed_at,
        }
        return {
            "killed": self._cluster.nodes[killed].name,
            "leader": self._cluster.nodes[self._leader].name,
            "framework_id": status["framework_id"],
            "ms": {step: round(1000 * value, 3) for step, value in seconds.items()},
        }
