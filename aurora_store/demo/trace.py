"""Cluster traces: hosts, tasks and, in order of time, what happens to the tasks."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Event", "Host", "Task", "Trace", "TraceError", "generate", "load", "read"]

CREATED, SCHEDULED, FINISHED = "created", "scheduled", "finished"

DEFAULT_TASKS = 2000
_HOST_COUNT = 1523
_HOST_KINDS = (  # cpu_milli, memory_mib, gpus, how many of a hundred
    (96000, 393216, 8, 40),
    (104000, 524288, 2, 26),
    (32000, 262144, 0, 10),
    (16000, 122880, 2, 8),
    (96000, 524288, 0, 6),
    (128000, 786432, 8, 5),
    (64000, 262144, 4, 5),
)
_SPAN_S = 12_900_000
_NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu")
_POD_COLUMNS = (
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "qos",
    "pod_phase",
    "creation_time",
    "deletion_time",
    "scheduled_time",
)


class TraceError(ValueError):
    """A trace cannot be read."""


@dataclass(frozen=True)
class Host:
    """One machine, with what it has."""

    name: str
    cpu_milli: int
    memory_mib: int
    gpu_milli: int


@dataclass(frozen=True)
class Task:
    """One task, with what it needs; a time that is ``None`` never came."""

    id: int
    name: str
    cpu_milli: int
    memory_mib: int
    gpu_milli: int
    qos: str
    phase: str
    created: int
    scheduled: int | None
    finished: int | None


@dataclass(frozen=True)
class Event:
    """Something that happens to a task, and one transaction. `id` is its place in the trace."""

    id: int
    kind: str
    time: int
    task: Task


@dataclass(frozen=True)
class Trace:
    """What is replayed."""

    hosts: Sequence[Host]
    tasks: Sequence[Task]
    events: Sequence[Event]


def load(directory: Path | None, tasks: int | None) -> Trace:
    """The trace in a folder, or a generated one if there is none; the same in every process."""
    if directory is None:
        return generate(DEFAULT_TASKS if tasks is None else tasks)
    return read(directory, tasks)


def read(directory: Path, limit: int | None = None) -> Trace:
    """Reads ``nodes.csv`` and ``pods.csv``, as the cluster-trace-gpu-v2023 dataset has them.

    Args:
        limit: how many tasks, at most.

    Raises:
        TraceError: the folder has no such files, or they cannot be understood.
    """
    hosts = [
        Host(row["sn"], _int(row["cpu_milli"]), _int(row["memory_mib"]), 1000 * _int(row["gpu"]))
        for row in _rows(directory / "nodes.csv", _NODE_COLUMNS)
    ]
    tasks: list[Task] = []
    for row in _rows(directory / "pods.csv", _POD_COLUMNS):
        if limit is not None and len(tasks) == limit:
            break
        tasks.append(
            Task(
                id=len(tasks),
                name=row["name"],
                cpu_milli=_int(row["cpu_milli"]),
                memory_mib=_int(row["memory_mib"]),
                gpu_milli=_int(row["num_gpu"]) * _int(row["gpu_milli"]),
                qos=row["qos"],
                phase=row["pod_phase"],
                created=_int(row["creation_time"]),
                scheduled=_time(row["scheduled_time"]),
                finished=_time(row["deletion_time"]),
            )
        )
    return _trace(hosts, tasks)


def generate(task_count: int, *, seed: int = 1) -> Trace:
    """Makes a trace of the same shape; the same for the same arguments."""
    chance = random.Random(seed)
    weights = [kind[3] for kind in _HOST_KINDS]
    hosts = []
    for number in range(_HOST_COUNT):
        cpu, memory, gpus, _ = chance.choices(_HOST_KINDS, weights)[0]
        hosts.append(Host(f"host-{number:04}", cpu, memory, 1000 * gpus))
    tasks = []
    for number in range(task_count):
        created = chance.randrange(_SPAN_S)
        placed = chance.random() < 0.89
        phase = chance.choices(("Running", "Failed", "Succeeded"), (64, 23, 13))[0]
        gpus = chance.choices((0, 1, 2, 4, 8), (15, 70, 5, 5, 5))[0]
        tasks.append(
            Task(
                id=number,
                name=f"task-{number:05}",
                cpu_milli=chance.choice((4000, 6000, 8000, 12000, 16000)),
                memory_mib=chance.choice((8192, 12288, 16384, 24576, 32768)),
                gpu_milli=chance.choice((460, 500, 1000)) if gpus == 1 else 1000 * gpus,
                qos=chance.choices(("LS", "BE", "Burstable", "Guaranteed"), (57, 41, 1, 1))[0],
                phase=phase if placed else "Pending",
                created=created,
                scheduled=created + int(chance.expovariate(1 / 30)) if placed else None,
                finished=created + 600 + int(chance.expovariate(1 / 40_000)),
            )
        )
    return _trace(hosts, tasks)


def _trace(hosts: Sequence[Host], tasks: Sequence[Task]) -> Trace:
    found: list[tuple[int, int, str, Task]] = []
    for task in tasks:
        last = 0
        steps = ((CREATED, task.created), (SCHEDULED, task.scheduled), (FINISHED, task.finished))
        for step, (kind, when) in enumerate(steps):
            if when is not None:
                last = max(last, when)  # never before the event that precedes it
                found.append((last, step, kind, task))
    found.sort(key=lambda item: (item[0], item[3].id, item[1]))
    events = [Event(number, kind, when, task) for number, (when, _, kind, task) in enumerate(found)]
    if len(events) < 2 or not hosts:
        raise TraceError("the trace needs a host and two events at least")
    return Trace(hosts, tasks, events)


def _rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval="")
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise TraceError(f"{path} has no column {', '.join(missing)}")
            yield from reader
    except OSError as exc:
        raise TraceError(f"cannot read {path}: {exc.strerror}") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise TraceError(f"cannot read {path}: {exc}") from exc


def _int(text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise TraceError(f"the trace has '{text}' where a number belongs") from None


def _time(text: str) -> int | None:
    return _int(text) if text else None
