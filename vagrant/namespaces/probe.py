"""What a machine's candidate says, through the socket of ``candidate.py``, and what Mesos does."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

from vagrant.namespaces.machine import Machine, MachineFailed

_SOCKET = "run/aurora-store/probe.sock"
_LIMIT_S = 20.0
_GET = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"


@dataclass(frozen=True)
class Report:
    """A candidate at one moment.

    Attributes:
        state: of the store, as `aurora_store.State` has it.
        reason: of its last step down or failure.
        framework: the state of the framework, as `aurora_store.framework.FrameworkState` has it.
        framework_id: as this replica's store has it.
        version: how far the replica is.
        checksum, recomputed: of that version, kept all along and recomputed from every page.
        clock: the time of day that its process has.
    """

    state: str
    reason: str
    framework: str
    framework_id: str | None
    version: int
    checksum: int
    recomputed: int
    clock: float


@dataclass(frozen=True)
class Content:
    """What a replica holds: the ledger, in its order, and the tasks with their states."""

    entries: list[tuple[int, str]]
    tasks: dict[str, str]


def report(machine: Machine) -> Report | None:
    """A candidate's report; ``None`` when it does not run or does not answer."""
    try:
        return Report(**_ask(machine, "report"))
    except (OSError, ValueError):
        return None


def content(machine: Machine) -> Content:
    """What a replica holds.

    Raises:
        MachineFailed: it does not say.
    """
    try:
        answer = _ask(machine, "content")
    except (OSError, ValueError) as exc:
        raise MachineFailed(f"{machine.name} does not say what its replica holds: {exc}") from exc
    entries = [(epoch, entry) for epoch, entry in answer["entries"]]
    return Content(entries, dict(answer["tasks"]))


def pause(machine: Machine, paused: bool) -> None:
    """Has a candidate write no entries, or write them again. One that was restarted writes."""
    _ask(machine, "pause" if paused else "resume")


def acknowledged(machine: Machine) -> list[tuple[float, str]]:
    """Every entry whose commit was acknowledged on a machine, with when, by the monotonic clock.

    That clock is one for all machines, and no clock skew touches it.
    """
    path = machine.disk / "var/lib/aurora-store/acknowledged"
    if not path.exists():
        return []
    lines = (line.split() for line in path.read_text().split("\n")[:-1])
    return [(float(line[0]), line[1]) for line in lines if len(line) == 2]


def members(machine: Machine) -> int:
    """How many replicas take part in the log as one of them sees it; 0: it does not say."""
    try:
        metrics = get(machine, f"http://{machine.address}:8083/metrics/snapshot")
    except (MachineFailed, ValueError):
        return 0
    return int(metrics.get("log/ensemble_size", 0))


def get(machine: Machine, url: str) -> Any:
    """A JSON document, asked for from a machine."""
    return json.loads(machine.run("/opt/aurora-store/venv/bin/python", "-c", _GET, url))


def _ask(machine: Machine, question: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_LIMIT_S)
        connection.connect(str(machine.root / _SOCKET))
        connection.sendall(question.encode() + b"\n")
        answer: dict[str, Any] = json.loads(connection.makefile().read())
    return answer
