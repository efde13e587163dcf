"""What changes in the model, told to subscribers once it is durable.

Triggers publish every change as an event of `aurora_store.events`, in the transaction that makes
it; this module makes values of them:

    def handle(events):
        for event in events:
            match change(event):
                case TaskChanged(id=task, status=ScheduleStatus.LOST):
                    ...

    Events(store).subscribe("scheduling", handle)

Changes come in the order in which they were made, each at least once. A component that is to know
every task begins each reign with `initial_changes`, and has one handler for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import Connection

from aurora_store.errors import FormatTooNew
from aurora_store.models.stores.jobs import job_key
from aurora_store.models.tables import changes as topics
from aurora_store.models.values.enums import (
    JobUpdateAction,
    JobUpdateStatus,
    MaintenanceMode,
    ScheduleStatus,
)
from aurora_store.models.values.keys import InstanceKey, JobKey, JobUpdateKey

if TYPE_CHECKING:
    from aurora_store.events import Event

__all__ = [
    "Change",
    "CronJobChanged",
    "CronJobRemoved",
    "HostChanged",
    "HostRemoved",
    "MaintenanceChanged",
    "MaintenanceRemoved",
    "QuotaChanged",
    "QuotaRemoved",
    "TaskChanged",
    "TaskDeleted",
    "UpdateChanged",
    "UpdateInstanceChanged",
    "UpdateRemoved",
    "change",
    "initial_changes",
]

_TASKS: Final = """SELECT task.task_id, role.name, environment.name, job.name, task.instance,
  task.status, agent.host FROM task JOIN job ON job.id = task.job_id
  JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id
  LEFT JOIN agent ON agent.id = task.agent_row_id ORDER BY task.status_time_ms, task.id"""


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """A task was made, or has another status.

    Attributes:
        before: the status it had; `None`: it is new, or told by `initial_changes`.
        host: where it was put; `None` while it waits.
    """

    id: str
    job: JobKey
    instance: int
    before: ScheduleStatus | None
    status: ScheduleStatus
    host: str | None

    @property
    def key(self) -> InstanceKey:
        """The instance it is a run of."""
        return InstanceKey(self.job, self.instance)


@dataclass(frozen=True, slots=True)
class TaskDeleted:
    """A task is gone.

    Attributes:
        status: the last one it had.
        host: where it was.
    """

    id: str
    job: JobKey
    instance: int
    status: ScheduleStatus
    host: str | None

    @property
    def key(self) -> InstanceKey:
        """The instance it was a run of."""
        return InstanceKey(self.job, self.instance)


@dataclass(frozen=True, slots=True)
class UpdateChanged:
    """An update of a job has an event.

    Attributes:
        before: the status it had; `None` for its first event.
        status: that of the event; it may be the same.
    """

    key: JobUpdateKey
    before: JobUpdateStatus | None
    status: JobUpdateStatus


@dataclass(frozen=True, slots=True)
class UpdateInstanceChanged:
    """An update did something to an instance."""

    key: JobUpdateKey
    instance: int
    action: JobUpdateAction


@dataclass(frozen=True, slots=True)
class UpdateRemoved:
    """An update is gone, with its events."""

    key: JobUpdateKey


@dataclass(frozen=True, slots=True)
class CronJobChanged:
    """A cron job was made, or is another one."""

    job: JobKey


@dataclass(frozen=True, slots=True)
class CronJobRemoved:
    """A cron job is gone."""

    job: JobKey


@dataclass(frozen=True, slots=True)
class QuotaChanged:
    """A role has a quota, or another one."""

    role: str


@dataclass(frozen=True, slots=True)
class QuotaRemoved:
    """A role has no quota any more."""

    role: str


@dataclass(frozen=True, slots=True)
class HostChanged:
    """An agent's attributes or its mode changed.

    Attributes:
        before: the mode it had; `None`: the agent is new.
        mode: if it is the same, the attributes changed.
    """

    agent_id: str
    host: str
    before: MaintenanceMode | None
    mode: MaintenanceMode


@dataclass(frozen=True, slots=True)
class HostRemoved:
    """An agent is gone.

    Attributes:
        mode: the last one it had.
    """

    agent_id: str
    host: str
    mode: MaintenanceMode


@dataclass(frozen=True, slots=True)
class MaintenanceChanged:
    """A host is to be drained, or in another way."""

    host: str


@dataclass(frozen=True, slots=True)
class MaintenanceRemoved:
    """A host is not to be drained any more."""

    host: str


Change: TypeAlias = (
    TaskChanged
    | TaskDeleted
    | UpdateChanged
    | UpdateInstanceChanged
    | UpdateRemoved
    | CronJobChanged
    | CronJobRemoved
    | QuotaChanged
    | QuotaRemoved
    | HostChanged
    | HostRemoved
    | MaintenanceChanged
    | MaintenanceRemoved
)
"""Whatever `change` returns."""


def change(event: Event) -> Change | None:
    """What an event of the model tells; `None` for one that is not the model's.

    Raises:
        FormatTooNew: a newer release has published it, and this one does not know what it tells.
    """
    read = _READERS.get(event.topic)
    if read is None:
        return None
    try:
        return read(event.body)
    except (LookupError, ValueError) as error:
        raise FormatTooNew(
            f"event {event.id} ({event.topic}) is none that this release knows: {error}",
            hint="upgrade aurora-store on this replica",
        ) from error


def initial_changes(connection: Connection) -> Iterator[TaskChanged]:
    """Every task, as if it were made as it is now; those whose status changed last come last.

    For `current=` of `Events.subscribe`, so that a component learns the state at the beginning of a
    reign by the handler that hears of the changes after it.
    """
    for task, *job, instance, status, host in connection.exec_driver_sql(_TASKS):
        yield TaskChanged(task, job_key(*job), instance, None, ScheduleStatus(status), host)


# ---- out of JSON ---------------------------------------------------------------------------------

_Body = Mapping[str, Any]


def _job(body: _Body) -> JobKey:
    role, environment, name = body["job"].split("/")
    return job_key(role, environment, name)


def _update(body: _Body) -> JobUpdateKey:
    return JobUpdateKey(_job(body), body["id"])


def _task_changed(body: _Body) -> TaskChanged:
    before = body["before"]
    return TaskChanged(
        body["id"],
        _job(body),
        body["instance"],
        None if before is None else ScheduleStatus(before),
        ScheduleStatus(body["status"]),
        body["host"],
    )


def _task_deleted(body: _Body) -> TaskDeleted:
    status = ScheduleStatus(body["status"])
    return TaskDeleted(body["id"], _job(body), body["instance"], status, body["host"])


def _update_changed(body: _Body) -> UpdateChanged:
    before = body["before"]
    return UpdateChanged(
        _update(body),
        None if before is None else JobUpdateStatus(before),
        JobUpdateStatus(body["status"]),
    )


def _host_changed(body: _Body) -> HostChanged:
    before = body["before"]
    return HostChanged(
        body["agent_id"],
        body["host"],
        None if before is None else MaintenanceMode(before),
        MaintenanceMode(body["mode"]),
    )


_READERS: Final[Mapping[str, Callable[[_Body], Change]]] = {
    topics.TASK_CHANGED: _task_changed,
    topics.TASK_DELETED: _task_deleted,
    topics.UPDATE_CHANGED: _update_changed,
    topics.UPDATE_INSTANCE_CHANGED: lambda body: UpdateInstanceChanged(
        _update(body), body["instance"], JobUpdateAction(body["action"])
    ),
    topics.UPDATE_REMOVED: lambda body: UpdateRemoved(_update(body)),
    topics.CRON_JOB_CHANGED: lambda body: CronJobChanged(_job(body)),
    topics.CRON_JOB_REMOVED: lambda body: CronJobRemoved(_job(body)),
    topics.QUOTA_CHANGED: lambda body: QuotaChanged(body["role"]),
    topics.QUOTA_REMOVED: lambda body: QuotaRemoved(body["role"]),
    topics.HOST_CHANGED: _host_changed,
    topics.HOST_REMOVED: lambda body: HostRemoved(
        body["agent_id"], body["host"], MaintenanceMode(body["mode"])
    ),
    topics.MAINTENANCE_CHANGED: lambda body: MaintenanceChanged(body["host"]),
    topics.MAINTENANCE_REMOVED: lambda body: MaintenanceRemoved(body["host"]),
}
