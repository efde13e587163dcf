"""What must hold after a scenario, whatever was done: all of it is looked at, each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from aurora_store.errors import StoreError
from vagrant.namespaces import probe
from vagrant.namespaces.cluster import Cluster
from vagrant.namespaces.machine import Machine
from vagrant.namespaces.probe import Content, Report

_T = TypeVar("_T")

_LIMIT_S = 90.0  # that anything may take; several times what a slow computer needs
_EVERY_S = 0.2
_COMMITS = 20
_ENDED = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR")


class CheckFailed(StoreError):
    """Something that must hold does not."""


@dataclass(frozen=True)
class Verdict:
    """What was found once everything held.

    Attributes:
        leader: the machine's name.
        version, checksum: of all three replicas.
        acknowledged: entries since the cluster came up, none of them lost.
        framework_id: as Mesos and all replicas have it.
        launched: tasks since the cluster came up, each once.
    """

    leader: str
    version: int
    checksum: int
    acknowledged: int
    framework_id: str
    launched: int


def wait_until(what: str, look: Callable[[], _T | None], limit: float = _LIMIT_S) -> _T:
    """Waits until `look` finds something that is true.

    Raises:
        CheckFailed: it did not within `limit` seconds.
    """
    deadline = time.monotonic() + limit
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise CheckFailed(f"{what}: not within {limit:g} s")
        time.sleep(_EVERY_S)


def wait_leader(cluster: Cluster, *, other_than: Machine | None = None) -> Machine:
    """Waits until one machine leads, which is another one than the given, and commits."""

    def look() -> Machine | None:
        others = [each for each in cluster.machines.values() if each is not other_than]
        leading = [each for each in others if _state(each) == "leading"]
        return leading[0] if len(leading) == 1 else None

    who = "a machine" if other_than is None else f"another machine than {other_than.name}"
    leader = wait_until(f"{who} leads", look)
    wait_commits(cluster)
    return leader


def wait_commits(cluster: Cluster) -> None:
    """Waits until some more commits were acknowledged, on whichever machine."""
    wanted = _count(cluster) + _COMMITS
    wait_until("commits are acknowledged", lambda: _count(cluster) >= wanted)


def wait_state(machine: Machine, state: str) -> Report:
    """Waits until a machine's store is in a state, and returns its report."""

    def look() -> Report | None:
        found = probe.report(machine)
        return found if found is not None and found.state == state else None

    return wait_until(f"{machine.name} is {state}", look)


def wait_whole(cluster: Cluster) -> Machine:
    """Waits until nothing is missing: three replicas are in the log, and one leads and is active.

    A replica is only a member of the log some seconds after its process is there. Whoever restarts
    the next one before has no quorum.

    Returns:
        The leader.
    """

    def look() -> Machine | None:
        reports = {name: probe.report(each) for name, each in cluster.machines.items()}
        states = [None if each is None else each.state for each in reports.values()]
        if sorted(map(str, states)) != ["leading", "standby", "standby"]:
            return None
        active = [name for name, each in reports.items() if each and each.framework == "active"]
        # As each of them sees it: one that was cut off, or restarted, takes some seconds more.
        everybody = all(probe.members(each) == 3 for each in cluster.machines.values())
        return cluster.machines[active[0]] if len(active) == 1 and everybody else None

    return wait_until("all three machines are back, and the framework is active", look)


def check(cluster: Cluster) -> Verdict:
    """Looks at everything that must hold, once the cluster is whole.

    Raises:
        CheckFailed: something does not; the message says all that does not.
    """
    wait_whole(cluster)
    wait_commits(cluster)
    machines = list(cluster.machines.values())
    wait_until("all instances run", lambda: _running(cluster) == cluster.settings.instances)
    for machine in machines:
        probe.pause(machine, True)
    try:
        # In this order: what is acknowledged by now is there when the contents are asked for.
        acknowledged = {entry for each in machines for _, entry in probe.acknowledged(each)}
        reports = wait_until("one leads, and all are at the same version", lambda: _equal(cluster))
        contents = {machine.name: probe.content(machine) for machine in machines}
    finally:
        for machine in machines:
            probe.pause(machine, False)
    mesos = _mesos_state(cluster)
    wrong = [
        *wrong_with_replicas(reports),
        *wrong_with_ledgers(acknowledged, contents),
        *wrong_with_framework(cluster.settings.instances, mesos, reports, contents),
    ]
    if wrong:
        raise CheckFailed("; ".join(wrong))
    # Who leads may have changed since: a session that outlived ZooKeeper's absence ends later.
    leader = next(name for name, each in reports.items() if each.state == "leading")
    found = reports[leader]
    return Verdict(
        leader=leader,
        version=found.version,
        checksum=found.checksum,
        acknowledged=len(acknowledged),
        framework_id=str(found.framework_id),
        launched=len(contents[leader].tasks),
    )


def wrong_with_replicas(reports: dict[str, Report]) -> list[str]:
    """One leads, and the copies are the same, byte by byte."""
    wrong = [
        f"{name}'s pages do not match its checksum"
        for name, found in reports.items()
        if found.recomputed != found.checksum
    ]
    if len({found.version for found in reports.values()}) != 1:
        wrong.append("the replicas are at different versions")
    elif len({found.checksum for found in reports.values()}) != 1:
        wrong.append("the checksums of equal versions differ")
    leading = [name for name, found in reports.items() if found.state == "leading"]
    if len(leading) != 1:
        wrong.append(f"one was to lead, and {', '.join(leading) or 'nobody'} does")
    return wrong


def wrong_with_ledgers(acknowledged: set[str], contents: dict[str, Content]) -> list[str]:
    """Every commit that was acknowledged is there, and no reign wrote after a later one began."""
    wrong = []
    for name, content in contents.items():
        epochs = [epoch for epoch, _ in content.entries]
        lost = acknowledged - {entry for _, entry in content.entries}
        if lost:
            wrong.append(f"{name} lacks {len(lost)} acknowledged entries, {min(lost)} for one")
        if epochs != sorted(epochs):
            wrong.append(f"{name} has entries of an old reign after those of a newer one")
    return wrong


def wrong_with_framework(
    instances: int,
    mesos: dict[str, list[dict[str, object]]],
    reports: dict[str, Report],
    contents: dict[str, Content],
) -> list[str]:
    """Mesos knows one framework, by the id that the replicas have, and each task was launched once.

    Nothing that is done to the schedulers ends a task, so no instance needs a second one either.
    """
    frameworks, tasks = mesos["frameworks"], mesos["tasks"]
    wrong = []
    ids = {str(each["id"]) for each in frameworks}
    known = {str(each.framework_id) for each in reports.values()}
    if len(ids) != 1 or ids != known:
        wrong.append(f"Mesos has the frameworks {sorted(ids)}, the replicas {sorted(known)}")
    launched = [str(each["id"]) for each in tasks]
    if len(launched) != len(set(launched)):
        wrong.append("Mesos has a task twice")
    running = [str(each["name"]) for each in tasks if each["state"] == "TASK_RUNNING"]
    if sorted(running) != [f"instance-{number}" for number in range(instances)]:
        wrong.append(f"{instances} instances should run, each once: {sorted(running)}")
    if len(launched) != instances:
        wrong.append(f"{len(launched)} tasks were launched for {instances} instances")
    for name, content in contents.items():
        if set(launched) != set(content.tasks):
            wrong.append(f"{name} has other tasks than Mesos: {sorted(content.tasks)}")
        ended = [task for task, state in content.tasks.items() if state in _ENDED]
        if ended:
            wrong.append(f"{name} has tasks as ended that run: {ended}")
    return wrong


def _state(machine: Machine) -> str | None:
    found = probe.report(machine)
    return None if found is None else found.state


def _count(cluster: Cluster) -> int:
    return sum(len(probe.acknowledged(machine)) for machine in cluster.machines.values())


def _equal(cluster: Cluster) -> dict[str, Report] | None:
    """All reports, once they are of the same version and somebody leads."""
    found = {name: probe.report(machine) for name, machine in cluster.machines.items()}
    reports = {name: each for name, each in found.items() if each is not None}
    versions = {each.version for each in reports.values()}
    leads = any(each.state == "leading" for each in reports.values())
    return reports if leads and len(reports) == len(found) and len(versions) == 1 else None


def _mesos_state(cluster: Cluster) -> dict[str, list[dict[str, object]]]:
    """Every framework that the master has known, and every task."""
    machine = cluster.machines[cluster.settings.mesos_machine]
    state = probe.get(machine, f"http://{cluster.settings.mesos}/state")
    frameworks = [*state["frameworks"], *state["completed_frameworks"]]
    kinds = ("tasks", "completed_tasks", "unreachable_tasks")
    return {
        "frameworks": frameworks,
        "tasks": [task for each in frameworks for kind in kinds for task in each.get(kind, [])],
    }


def _running(cluster: Cluster) -> int:
    tasks = _mesos_state(cluster)["tasks"]
    return sum(task["state"] == "TASK_RUNNING" for task in tasks)
