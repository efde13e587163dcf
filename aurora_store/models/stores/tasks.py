"""Tasks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

from aurora_store.models.query import TaskQuery
from aurora_store.models.stores.base import BaseStore
from aurora_store.models.stores.jobs import ConfigIds, JobRows
from aurora_store.models.values import checks
from aurora_store.models.values.canonical import Decoded, dump
from aurora_store.models.values.config import TaskConfig
from aurora_store.models.values.enums import ACTIVE_STATES, ScheduleStatus
from aurora_store.models.values.keys import JobKey
from aurora_store.models.values.tasks import Assignment, ScheduledTask, TaskEvent

__all__ = ["Page", "TaskStore"]

# Events lie in the order of their key, so that is the order in which they are gathered.
_COLUMNS: Final = """task.id, task.task_id, task.config_id, task.instance, task.status,
  agent.agent_id, agent.host, task.failures, task.times_partitioned, task.ancestor,
  (SELECT json_array(json_group_array(time_ms), json_group_array(status),
    json_group_array(message), json_group_array(scheduler)) FROM task_event
    WHERE task_row_id = task.id),
  CASE WHEN agent.id IS NOT NULL THEN
    (SELECT json_group_object(name, port) FROM task_port WHERE task_row_id = task.id) END"""
# One text: a row for each would take twice the time. No name has a space or a slash.
_JOB_KEYS: Final = """SELECT group_concat(role.name || '/' || environment.name || '/' || job.name,
  ' ') FROM job
  JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id
  WHERE EXISTS (SELECT 1 FROM job_tally WHERE job_id = job.id{active})"""
_ACTIVE_KEYS: Final = " AND status IN ({})".format(
    ", ".join(str(int(status)) for status in sorted(ACTIVE_STATES))
)
_NEXT_ID: Final = "SELECT coalesce(max(id), 0) + 1 FROM task"
_INSERT: Final = """INSERT INTO task (id, task_id, job_id, instance, status, status_time_ms,
  config_id, agent_row_id, failures, times_partitioned, ancestor)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_UPDATE: Final = """UPDATE task SET job_id = ?, instance = ?, status = ?, status_time_ms = ?,
  config_id = ?, agent_row_id = ?, failures = ?, times_partitioned = ?, ancestor = ? WHERE id = ?"""
_INSERT_EVENT: Final = "INSERT INTO task_event VALUES (?, ?, ?, ?, ?, ?)"
_DELETE_EVENTS: Final = "DELETE FROM task_event WHERE task_row_id = ?"
_INSERT_PORT: Final = "INSERT INTO task_port VALUES (?, ?, ?)"
_DELETE_PORTS: Final = "DELETE FROM task_port WHERE task_row_id = ?"
_DELETE: Final = "DELETE FROM task WHERE task_id IN (SELECT value FROM json_each(?))"
_FIND_AGENT: Final = "SELECT id FROM agent WHERE agent_id = ? AND host = ?"
_ADD_AGENT: Final = "INSERT INTO agent (agent_id, host) VALUES (?, ?)"
_parsed: Final = lru_cache(maxsize=65_536)(JobKey.parse)
_STATUSES: Final = {int(status): status for status in ScheduleStatus}


@dataclass(frozen=True)
class Page:
    """Some tasks of a query.

    Attributes:
        next: give this to `TaskStore.fetch_page` for those that follow, unless it is `None`.
    """

    tasks: Sequence[ScheduledTask]
    next: int | None


class _Stored(NamedTuple):
    id: int
    task: ScheduledTask


class TaskStore(BaseStore):
    """The tasks of all jobs."""

    __slots__ = ("_jobs",)

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._jobs = JobRows(connection)

    # ---- reading ----

    def fetch(self, task_id: str) -> ScheduledTask | None:
        """One task."""
        found = self.fetch_tasks(TaskQuery(task_ids=frozenset({task_id})))
        return found[0] if found else None

    def fetch_tasks(self, query: TaskQuery) -> Sequence[ScheduledTask]:
        """Tasks in the order in which they were made."""
        return [stored.task for stored in self._fetch(query)]

    def fetch_page(self, query: TaskQuery, *, after: int | None = None) -> Page:
        """Tasks in the same order, `query.limit` at a time.

        A page costs the same wherever it is, and tasks that come and go in between are neither
        shown twice nor cause others to be left out.

        Args:
            query: with a limit, and without an offset.
            after: `next` of the page before.
        """
        if not query.limit or query.offset:
            raise ValueError("a page needs a query with a limit above 0 and without an offset")
        found = list(self._fetch(replace(query, limit=query.limit + 1), after=after))
        shown = found[: query.limit]
        return Page(
            [each.task for each in shown], shown[-1].id if len(found) > len(shown) else None
        )

    def job_keys(self, *, active: bool = False) -> Sequence[JobKey]:
        """Jobs that have tasks; with `active`, that have active ones. In no particular order."""
        sql = _JOB_KEYS.format(active=_ACTIVE_KEYS if active else "")
        return list(map(_parsed, (self._row(sql)[0] or "").split()))

    def _fetch(self, query: TaskQuery, *, after: int | None = None) -> Iterator[_Stored]:
        rows = self._rows(*query.statement(_COLUMNS, after=after))
        configs = self._jobs.configs({row[2] for row in rows})
        for (
            number,
            task_id,
            config,
            instance,
            status,
            agent,
            host,
            failures,
            partitioned,
            ancestor,
            events,
            ports,
        ) in rows:
            yield _Stored(
                number,
                ScheduledTask(
                    task_id,
                    configs[config],
                    instance,
                    _STATUSES[status],
                    None if agent is None else Assignment(agent, host, _ports(ports)),
                    failures,
                    partitioned,
                    Decoded(TaskEvent, events),
                    ancestor,
                ),
            )

    # ---- writing ----

    def save(self, tasks: Iterable[ScheduledTask]) -> None:
        """Makes these tasks, or replaces those that are there, by their ids.

        Of the same id twice the last one counts. Events that are only more than before cost what
        was added.
        """
        wanted = {task.id: task for task in tasks}
        if not wanted:
            return
        there = {
            stored.task.id: stored for stored in self._fetch(TaskQuery(task_ids=frozenset(wanted)))
        }
        shared = _Shared(self)
        self._insert([task for key, task in wanted.items() if key not in there], shared)
        # After the new ones: what only they use now must not go with its last user of before.
        for key, stored in there.items():
            if stored.task != wanted[key]:
                self._update(stored, wanted[key], shared)

    def _insert(self, tasks: Sequence[ScheduledTask], shared: _Shared) -> None:
        first = self._row(_NEXT_ID)[0]
        rows: list[tuple[Any, ...]] = []
        events: list[tuple[Any, ...]] = []
        ports: list[tuple[Any, ...]] = []
        for number, task in enumerate(tasks, first):
            rows.append((number, task.id, *shared.row(task)))
            for sequence, event in enumerate(task.events):
                events.append(_event_row(number, sequence, event))
            if task.assignment is not None and task.assignment.ports:
                ports += [(number, *port) for port in task.assignment.ports.items()]
        self._run_each(_INSERT, rows)
        self._run_each(_INSERT_EVENT, events)
        self._run_each(_INSERT_PORT, ports)

    def _update(self, stored: _Stored, task: ScheduledTask, shared: _Shared) -> None:
        number, before = stored.id, stored.task.events
        known = len(before)
        if tuple(task.events[:known]) != tuple(before):
            known = 0
            self._run(_DELETE_EVENTS, (number,))
        self._run(_UPDATE, (*shared.row(task), number))
        self._run_each(
            _INSERT_EVENT,
            [
                _event_row(number, sequence, task.events[sequence])
                for sequence in range(known, len(task.events))
            ],
        )
        if task.assignment != stored.task.assignment:
            ports = task.assignment.ports if task.assignment else {}
            self._run(_DELETE_PORTS, (number,))
            self._run_each(_INSERT_PORT, [(number, *port) for port in ports.items()])

    def mutate(
        self, task_id: str, change: Callable[[ScheduledTask], ScheduledTask]
    ) -> ScheduledTask | None:
        """Replaces a task by what `change` makes of it, and returns that; `None`: no such task.

        Raises:
            ValueError: `change` gave it another id.
        """
        task = self.fetch(task_id)
        if task is None:
            return None
        changed = change(task)
        if changed.id != task_id:
            raise ValueError(f"a change of the task {task_id} made it {changed.id}")
        self.save([changed])
        return changed

    def delete(self, task_ids: Iterable[str]) -> int:
        """Deletes tasks with all that is theirs; returns how many there were."""
        return self._run(_DELETE, (dump(checks.several("task_ids", task_ids)),))

    def delete_all(self) -> None:
        """Deletes every task."""
        self._run("DELETE FROM task")

    def agent(self, agent_id: str, host: str) -> int:
        """The id of an agent's row; it gets one if it has none."""
        row = self._row(_FIND_AGENT, (agent_id, host))
        if row is None:
            self._run(_ADD_AGENT, (agent_id, host))
            row = self._row(_FIND_AGENT, (agent_id, host))
        return int(row[0])


class _Shared:
    """The shared rows that the tasks of one call use, each looked up once.

    They stay: a task that uses one is written right after the look-up, and only once in a call.
    """

    def __init__(self, store: TaskStore) -> None:
        self._store = store
        self._jobs = JobRows(store._connection)
        self._configs: dict[TaskConfig, ConfigIds] = {}
        self._agents: dict[tuple[str, str], int] = {}

    def row(self, task: ScheduledTask) -> tuple[Any, ...]:
        """The columns of a task from its job on."""
        ids = self._configs.get(task.config)
        if ids is None:
            ids = self._configs[task.config] = self._jobs.put_config(task.config)
        agent = None
        if task.assignment is not None:
            where = task.assignment.agent_id, task.assignment.host
            agent = self._agents.get(where)
            if agent is None:
                agent = self._agents[where] = self._store.agent(*where)
        return (
            ids.job,
            task.instance,
            int(task.status),
            task.status_time_ms,
            ids.config,
            agent,
            task.failures,
            task.times_partitioned,
            task.ancestor,
        )


def _ports(text: str) -> dict[str, int]:
    # Most tasks have none, and to read so from JSON is a tenth of fetching one.
    found: dict[str, int] = {} if text == "{}" else json.loads(text)
    return found


def _event_row(task: int, sequence: int, event: TaskEvent) -> tuple[Any, ...]:
    return task, sequence, event.time_ms, int(event.status), event.message, event.scheduler
