"""Tasks as a scheduler drives them: inserted, assigned, moved from status to status, deleted."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Counter

from aurora_store.errors import StoreError
from aurora_store.models.states import StateChangeResult, may_delete, step
from aurora_store.models.stores import Stores
from aurora_store.models.stores.base import BaseStore
from aurora_store.models.stores.jobs import JobRows
from aurora_store.models.tables.tasks import ACTIVE_NUMBERS
from aurora_store.models.values import checks
from aurora_store.models.values.canonical import dump
from aurora_store.models.values.config import TaskConfig
from aurora_store.models.values.enums import ScheduleStatus
from aurora_store.models.values.tasks import Assignment

__all__ = [
    "ILLEGAL_TRANSITIONS",
    "IllegalDelete",
    "InstanceInUse",
    "StateChange",
    "StateChangeRequest",
    "StateManager",
]

_logger = logging.getLogger(__name__)

ILLEGAL_TRANSITIONS: Final = Counter(
    "aurora_store_illegal_task_transitions",
    "Changes refused because the status could not follow.",
    registry=None,
)
"""Of this process. `server.registry.register(ILLEGAL_TRANSITIONS)` of a `MonitoringServer` serves
it."""

_FIND: Final = """SELECT task.task_id, task.id, task.status, task.failures, task.times_partitioned,
  task.instance, task.job_id, task.config_id, is_service, max_task_failures
  FROM task CROSS JOIN task_config AS config ON config.id = task.config_id
  WHERE task.task_id IN (SELECT value FROM json_each(?))"""
_MOVE: Final = """UPDATE task SET status = ?, status_time_ms = ?, failures = ?,
  times_partitioned = ? WHERE id = ?"""
_APPEND_EVENT: Final = """INSERT INTO task_event (task_row_id, sequence, time_ms, status, message,
  scheduler) SELECT ?1, coalesce(max(sequence), -1) + 1, ?2, ?3, ?4, ?5
  FROM task_event WHERE task_row_id = ?1"""
_PENDING: Final = "SELECT id FROM task WHERE task_id = ? AND status = ?"
_PLACE: Final = "UPDATE task SET agent_row_id = ? WHERE id = ?"
_INSERT_PORT: Final = "INSERT INTO task_port (task_row_id, name, port) VALUES (?, ?, ?)"
_INSERT: Final = """INSERT INTO task (id, task_id, job_id, instance, status, status_time_ms,
  config_id, failures, ancestor) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_INSERT_EVENT: Final = """INSERT INTO task_event (task_row_id, sequence, time_ms, status, message,
  scheduler) VALUES (?, 0, ?, ?, ?, ?)"""
_NEXT_ID: Final = "SELECT coalesce(max(id), 0) + 1 FROM task"
_USED: Final = f"""SELECT instance, task_id FROM task INDEXED BY ix_task_job_id_instance
  WHERE job_id = ? AND instance IN (SELECT value FROM json_each(?))
  AND status IN ({ACTIVE_NUMBERS}) ORDER BY instance LIMIT 1"""


class InstanceInUse(StoreError):
    """An instance that is to be inserted has an active task already; nothing was inserted."""


class IllegalDelete(StoreError):
    """A task that is to be deleted has not ended; nothing was deleted."""


@dataclass(frozen=True, slots=True)
class StateChangeRequest:
    """A wish: a task is to have a status.

    Attributes:
        expected: only if it has this one now.
        message: for its event.
    """

    task_id: str
    status: ScheduleStatus
    expected: ScheduleStatus | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        status = checks.member("StateChangeRequest.status", self.status, ScheduleStatus)
        object.__setattr__(self, "status", status)
        if self.expected is not None:
            checks.instance("StateChangeRequest.expected", self.expected, ScheduleStatus)


@dataclass(frozen=True, slots=True)
class StateChange:
    """What became of it.

    Attributes:
        before: the status it had; `None`: there is no such task.
        after: the status it has; `None`: it is not there, or was deleted.
        kill: tell Mesos to kill it, once this transaction is durable.
        successor: id of the task that takes its instance.
    """

    task_id: str
    result: StateChangeResult
    before: ScheduleStatus | None
    after: ScheduleStatus | None
    kill: bool = False
    successor: str | None = None


@dataclass(slots=True)
class _Task:
    """What a change of status needs to know of a task."""

    id: int
    status: ScheduleStatus
    failures: int
    times_partitioned: int
    instance: int
    job_id: int
    config_id: int
    is_service: int
    max_failures: int


def new_task_id(config: TaskConfig, instance: int) -> str:
    """A task id as Aurora's: of the instance's key, and unique."""
    job = config.job
    return f"{job.role}-{job.environment}-{job.name}-{instance}-{uuid.uuid4()}"


class StateManager(BaseStore):
    """Moves tasks by the rules of `aurora_store.models.states`, inside one transaction.

    Args:
        stores: of that transaction.
        scheduler: host of this scheduler, for events.
        clock: milliseconds since 1970.
        throttle: of the id of a task that is to be replaced: whether its successor waits first
            (THROTTLED), because it ends too often. By default it never does.
    """

    __slots__ = ("_clock", "_scheduler", "_stores", "_throttle")

    def __init__(
        self,
        stores: Stores,
        *,
        scheduler: str | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        throttle: Callable[[str], bool] = lambda task_id: False,
    ) -> None:
        super().__init__(stores.connection)
        self._stores = stores
        self._scheduler = scheduler
        self._clock = clock
        self._throttle = throttle

    # ---- status ----

    def change_state(
        self,
        task_id: str,
        status: ScheduleStatus,
        *,
        expected: ScheduleStatus | None = None,
        message: str | None = None,
    ) -> StateChange:
        """Gives a task another status, with an event, and does what follows from it.

        A change that is refused writes nothing and raises nothing: see its result.

        Args:
            expected: only if the task has this status now.
            message: for the event.
        """
        return self.change_states([StateChangeRequest(task_id, status, expected, message)])[0]

    def change_states(self, requests: Sequence[StateChangeRequest]) -> Sequence[StateChange]:
        """Several changes, one after the other; much cheaper than one call for each."""
        names = {request.task_id for request in requests}
        tasks = {
            name: _Task(number, ScheduleStatus(status), *rest)
            for name, number, status, *rest in self._rows(_FIND, (dump(list(names)),))
        }
        work = _Work(self._clock(), self._scheduler)
        changes = [self._change(request, tasks, work) for request in requests]
        self._run_each(_MOVE, work.moves)
        self._run_each(_APPEND_EVENT, work.events)
        # Successors first: the configuration that they share must not go with its last user.
        self._insert(work.successors, work.now)
        if work.deleted:
            self._stores.tasks.delete(work.deleted)
        return changes

    def _change(
        self, request: StateChangeRequest, tasks: dict[str, _Task], work: _Work
    ) -> StateChange:
        name, task = request.task_id, tasks.get(request.task_id)
        before = task.status if task else None
        if request.expected is not None and before != request.expected:
            return StateChange(name, StateChangeResult.INVALID_CAS_STATE, before, before)
        todo = step(
            before,
            request.status,
            is_service=bool(task and task.is_service),
            failures=task.failures if task else 0,
            max_failures=task.max_failures if task else 0,
        )
        if todo.result is not StateChangeResult.SUCCESS or task is None:
            if todo.result is not StateChangeResult.NOOP:
                ILLEGAL_TRANSITIONS.inc()
                had = before.name if before is not None else "not there"
                _logger.warning("task %s is %s and cannot be %s", name, had, request.status.name)
            return StateChange(name, todo.result, before, before, todo.kill)
        if todo.delete:
            work.deleted.append(name)
            del tasks[name]
            return StateChange(name, todo.result, before, None)
        task.status = request.status
        task.failures += todo.fail
        task.times_partitioned += request.status is ScheduleStatus.PARTITIONED
        number = int(request.status)
        work.moves.append((number, work.now, task.failures, task.times_partitioned, task.id))
        work.events.append((task.id, work.now, number, request.message, work.scheduler))
        successor = self._successor(name, task, work) if todo.reschedule else None
        return StateChange(name, todo.result, before, request.status, todo.kill, successor)

    def _successor(self, name: str, task: _Task, work: _Work) -> str:
        config = self._config(task.config_id)
        successor = new_task_id(config, task.instance)
        throttled = self._throttle(name)
        status = ScheduleStatus.THROTTLED if throttled else ScheduleStatus.PENDING
        ids = task.job_id, task.config_id
        work.successors.append(
            (successor, *ids, task.instance, status, task.failures, name, "Rescheduled")
        )
        return successor

    def _config(self, config_id: int) -> TaskConfig:
        return JobRows(self._connection).configs([config_id])[config_id]

    # ---- place ----

    def assign(
        self, task_id: str, host: str, agent_id: str, ports: Mapping[str, int] | None = None
    ) -> StateChange:
        """Puts a task that is PENDING on an agent: it is ASSIGNED.

        Args:
            ports: those that it wants, by name.
        """
        place = Assignment(agent_id, host, dict(ports or {}))
        pending = self._row(_PENDING, (task_id, int(ScheduleStatus.PENDING)))
        if pending is not None:  # the place first: who hears of the status hears of the host
            (number,) = pending
            self._run(_PLACE, (self._stores.tasks.agent(agent_id, host), number))
            self._run("DELETE FROM task_port WHERE task_row_id = ?", (number,))
            self._run_each(_INSERT_PORT, [(number, *port) for port in place.ports.items()])
        return self.change_state(task_id, ScheduleStatus.ASSIGNED, expected=ScheduleStatus.PENDING)

    # ---- coming and going ----

    def insert_pending(self, config: TaskConfig, instances: Iterable[int]) -> Sequence[str]:
        """Makes a PENDING task for each instance; returns their ids, in the order of `instances`.

        Raises:
            InstanceInUse: an instance has an active task already.
        """
        wanted = list(instances)
        if not wanted:
            raise ValueError(f"no instances of {config.job} were given")
        for instance in wanted:
            checks.integer("instances", instance)
        if len(set(wanted)) < len(wanted):
            raise ValueError(f"an instance of {config.job} is given twice")
        ids = JobRows(self._connection).put_config(config)
        used = self._row(_USED, (ids.job, dump(wanted)))
        if used is not None:
            raise InstanceInUse(
                f"instance {used[0]} of {config.job} is in use by the task {used[1]}",
                hint="kill that task first, or take another instance",
            )
        names = [new_task_id(config, instance) for instance in wanted]
        self._insert(
            [
                (name, ids.job, ids.config, instance, ScheduleStatus.PENDING, 0, None, None)
                for name, instance in zip(names, wanted, strict=True)
            ],
            self._clock(),
        )
        return names

    def _insert(self, tasks: Sequence[tuple[Any, ...]], now: int) -> None:
        """Inserts (name, job, config, instance, status, failures, ancestor, message)."""
        if not tasks:
            return
        first = self._row(_NEXT_ID)[0]
        rows: list[tuple[Any, ...]] = []
        events: list[tuple[Any, ...]] = []
        for number, task in enumerate(tasks, first):
            name, job, config, instance, status, failures, ancestor, message = task
            rows.append((number, name, job, instance, int(status), now, config, failures, ancestor))
            events.append((number, now, int(status), message, self._scheduler))
        self._run_each(_INSERT, rows)
        self._run_each(_INSERT_EVENT, events)

    def delete(self, task_ids: Iterable[str]) -> int:
        """Deletes tasks that ended or are being killed; returns how many there were.

        Raises:
            IllegalDelete: one of them has another status.
        """
        names = checks.several("task_ids", task_ids)
        for name, _, status, *_ in self._rows(_FIND, (dump(names),)):
            if not may_delete(ScheduleStatus(status)):
                raise IllegalDelete(
                    f"task {name} is {ScheduleStatus(status).name}", hint="kill it first"
                )
        return self._stores.tasks.delete(names)


class _Work:
    """What a batch of changes is to write."""

    def __init__(self, now: int, scheduler: str | None) -> None:
        self.now = now
        self.scheduler = scheduler
        self.moves: list[tuple[int, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        self.successors: list[tuple[Any, ...]] = []
        self.deleted: list[str] = []
