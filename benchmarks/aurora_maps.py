"""Aurora's own storage, written down in Python: maps of objects, copied in and out.

As its last release has it: tasks by id, with indexes by job and by host and no others; the first
index that a query can use is used, and everything else is filtered. It is not a store: nothing is
logged, and nothing is taken back.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from aurora_store.models import (
    TERMINAL_STATES,
    JobKey,
    JobUpdateDetails,
    JobUpdateKey,
    ScheduledTask,
    ScheduleStatus,
    TaskEvent,
    TaskQuery,
)

__all__ = ["Maps"]

_Copy = Callable[[Any], Any]


class Maps:
    """All tasks and updates.

    Args:
        copies: whether objects are copied in and out, so that no caller can change what is stored.
            Without, they are handed out as they are, which only immutable objects allow.
    """

    def __init__(self, *, copies: bool) -> None:
        self._copy: _Copy = copy.deepcopy if copies else _same
        self._tasks: dict[str, ScheduledTask] = {}
        self._by_job: dict[JobKey, set[str]] = defaultdict(set)
        self._by_host: dict[str, set[str]] = defaultdict(set)
        self._updates: dict[JobUpdateKey, JobUpdateDetails] = {}

    # ---- tasks ----

    def fetch_tasks(self, query: TaskQuery) -> list[ScheduledTask]:
        """Copies of the tasks of a query; its limit is applied to what was found."""
        found = [self._copy(task) for task in self._candidates(query) if _matches(query, task)]
        end = None if query.limit is None else query.offset + query.limit
        return found[query.offset : end]

    def save_tasks(self, tasks: Iterable[ScheduledTask]) -> None:
        """Keeps copies of them."""
        for given in tasks:
            task = self._copy(given)
            self._tasks[task.id] = task
            self._by_job[task.job].add(task.id)
            if task.assignment is not None:
                self._by_host[task.assignment.host].add(task.id)

    def change_state(self, task_id: str, status: ScheduleStatus, now: int) -> None:
        """Gives a task another status, with an event."""
        (task,) = self.fetch_tasks(TaskQuery(task_ids=frozenset({task_id})))
        event = TaskEvent(now, status, None, "scheduler")
        self.save_tasks([replace(task, status=status, events=(*task.events, event))])

    def delete_tasks(self, task_ids: frozenset[str]) -> None:
        """Deletes tasks that ended; they are fetched first, as they are told to subscribers."""
        for task in self.fetch_tasks(TaskQuery(task_ids=task_ids)):
            if task.status not in TERMINAL_STATES:
                raise ValueError(f"{task.id} has not ended")
            del self._tasks[task.id]
            _drop(self._by_job, task.job, task.id)
            if task.assignment is not None:
                _drop(self._by_host, task.assignment.host, task.id)

    def job_keys(self) -> set[JobKey]:
        """Jobs that have tasks, from the index; copies, too."""
        return {self._copy(key) for key in self._by_job}

    def job_keys_by_walking(self) -> set[JobKey]:
        """The same from all tasks, as before there was an index of jobs."""
        return {self._copy(key) for key in {task.job for task in self._tasks.values()}}

    def role_summaries(self, keys: Iterable[JobKey]) -> Counter[str]:
        """How many of these jobs each role has."""
        return Counter(key.role for key in keys)

    def role_usage(self, role: str) -> tuple[float, int, int]:
        """What the active tasks of a role take: processors, memory, disk."""
        active = self._candidates(TaskQuery(role=role).active())
        found = [task.config.resources for task in active if _active_of(role, task)]
        return (
            sum(each.cpus for each in found),
            sum(each.ram_mb for each in found),
            sum(each.disk_mb for each in found),
        )

    def _candidates(self, query: TaskQuery) -> Iterable[ScheduledTask]:
        if query.task_ids:
            ids: Iterable[str] = query.task_ids
        elif query.jobs:
            ids = (each for job in query.jobs for each in self._by_job.get(job, ()))
        elif query.hosts:
            ids = (each for host in query.hosts for each in self._by_host.get(host, ()))
        else:
            return self._tasks.values()
        return [self._tasks[each] for each in ids if each in self._tasks]

    # ---- updates ----

    def save_update(self, details: JobUpdateDetails) -> None:
        """Keeps a copy of it."""
        self._updates[details.update.key] = self._copy(details)

    def fetch_update(self, key: JobUpdateKey) -> JobUpdateDetails:
        """A copy of it."""
        found: JobUpdateDetails = self._copy(self._updates[key])
        return found


def _same(value: Any) -> Any:
    return value


def _active_of(role: str, task: ScheduledTask) -> bool:
    return task.job.role == role and task.status not in TERMINAL_STATES


def _drop(index: dict[Any, set[str]], key: Any, task_id: str) -> None:
    index[key].discard(task_id)
    if not index[key]:
        del index[key]


def _matches(query: TaskQuery, task: ScheduledTask) -> bool:
    return (
        (not query.role or task.job.role == query.role)
        and (not query.environment or task.job.environment == query.environment)
        and (not query.job_name or task.job.name == query.job_name)
        and (not query.task_ids or task.id in query.task_ids)
        and (not query.statuses or task.status in query.statuses)
        and (not query.instances or task.instance in query.instances)
        and (not query.jobs or task.job in query.jobs)
        and (
            not query.hosts or (task.assignment is not None and task.assignment.host in query.hosts)
        )
    )
