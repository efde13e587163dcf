"""What must hold after leaders were killed, however often and whenever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class History:
    """What happened, by the accounts of all who were there.

    Attributes:
        framework_id: the first leader's.
        state: what the master answers at ``/state``.
        started: ids of tasks, one for each time that one started; written by the tasks.
        replicas: each with ``name``, ``framework_id``, ``checksum``, ``recomputed``, ``kept``, and
            the rows of ``tasks`` (id, state) and ``events`` (task, state).
    """

    framework_id: str
    state: Mapping[str, Any]
    started: Sequence[str]
    replicas: Sequence[Mapping[str, Any]]


def differences_of(history: History) -> list[str]:
    """What does not hold, each in a sentence."""
    return [
        *_of_frameworks(history),
        *_of_replicas(history),
        *_of_launches(history),
        *_of_updates(history),
    ]


def _of_frameworks(history: History) -> list[str]:
    found = []
    known = [
        each["id"] for each in history.state["frameworks"] + history.state["completed_frameworks"]
    ]
    if known != [history.framework_id]:
        found.append(f"the master knows the frameworks {known}, not {history.framework_id} alone")
    found += [
        f"{each['name']} has the framework id {each['framework_id']}, not {history.framework_id}"
        for each in history.replicas
        if each["framework_id"] != history.framework_id
    ]
    return found


def _of_replicas(history: History) -> list[str]:
    found = []
    for key in ("tasks", "events"):
        rows = {tuple(sorted(map(tuple, each[key]))) for each in history.replicas}
        if len(rows) > 1:
            found.append(f"the replicas do not have the same {key}")
    sums = {each[key] for each in history.replicas for key in ("checksum", "recomputed", "kept")}
    if len(sums) > 1:
        found.append(f"the replicas' checksums differ: {sorted(sums)}")
    return found


def _of_launches(history: History) -> list[str]:
    rows = dict(map(tuple, history.replicas[0]["tasks"]))
    started = Counter(history.started)
    in_mesos = Counter(task["task_id"] for task in _tasks(history))
    found = [f"{task} was started {times} times" for task, times in started.items() if times > 1]
    found += [f"Mesos knows {task} {times} times" for task, times in in_mesos.items() if times > 1]
    found += [
        f"{task} runs or ran, and the store has forgotten it"
        for task in sorted((started.keys() | in_mesos.keys()) - rows.keys())
    ]
    found += [
        f"{task} is {state} in the store, and Mesos does not know it"
        for task, state in rows.items()
        if task not in in_mesos and state != "TASK_LOST"
    ]
    return found


def _of_updates(history: History) -> list[str]:
    rows = dict(map(tuple, history.replicas[0]["tasks"]))
    events: dict[str, set[str]] = {}
    for task, state in history.replicas[0]["events"]:
        events.setdefault(task, set()).add(state)
    found = []
    for task in _tasks(history):
        name, last = task["task_id"], task["state"]
        if rows.get(name) != last:
            found.append(f"{name} is {last} by Mesos, and {rows.get(name)} in the store")
        sent = {each["state"] for each in task["statuses"]}
        if lost := sent - events.get(name, set()):
            found.append(f"updates of {name} are lost: {', '.join(sorted(lost))}")
    return found


def _tasks(history: History) -> list[dict[str, Any]]:
    return [
        {"task_id": task["id"], **task}
        for framework in history.state["frameworks"]
        for kind in ("tasks", "completed_tasks", "unreachable_tasks")
        for task in framework.get(kind, [])
    ]
