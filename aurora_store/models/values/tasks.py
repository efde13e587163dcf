"""Tasks: one run of one instance of a job, and what happened to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aurora_store.models.values import checks
from aurora_store.models.values.config import TaskConfig
from aurora_store.models.values.enums import ScheduleStatus
from aurora_store.models.values.keys import InstanceKey, JobKey

__all__ = ["Assignment", "ScheduledTask", "TaskEvent"]


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """A change of a task's status.

    Attributes:
        time_ms: since 1970.
        scheduler: the host that recorded it.
    """

    time_ms: int
    status: ScheduleStatus
    message: str | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        checks.integer("TaskEvent.time_ms", self.time_ms)
        object.__setattr__(
            self, "status", checks.member("TaskEvent.status", self.status, ScheduleStatus)
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where a task was put.

    Attributes:
        agent_id: Mesos's id of the agent.
        host: its host name.
        ports: name of each port that the task wants -> port.
    """

    agent_id: str
    host: str
    ports: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        checks.text("Assignment.agent_id", self.agent_id)
        checks.text("Assignment.host", self.host)
        if self.ports:
            for name, port in self.ports.items():
                checks.text("Assignment.ports", name)
                checks.integer(f"Assignment.ports[{name!r}]", port)


@dataclass(frozen=True, slots=True)
class ScheduledTask:
    """A task: Aurora's `AssignedTask` and `ScheduledTask` in one.

    Attributes:
        id: unique.
        config: what it runs.
        instance: its number in the job.
        assignment: where; `None` while it waits.
        failures: how often it and its ancestors failed.
        times_partitioned: how often its agent was cut off.
        events: in order of time, the last one is of its status.
        ancestor: id of the task that it replaces.
    """

    id: str
    config: TaskConfig
    instance: int
    status: ScheduleStatus = ScheduleStatus.INIT
    assignment: Assignment | None = None
    failures: int = 0
    times_partitioned: int = 0
    events: Sequence[TaskEvent] = ()
    ancestor: str | None = None

    def __post_init__(self) -> None:
        checks.text("ScheduledTask.id", self.id)
        checks.integer("ScheduledTask.instance", self.instance)
        checks.integer("ScheduledTask.failures", self.failures)
        checks.integer("ScheduledTask.times_partitioned", self.times_partitioned)

    @property
    def job(self) -> JobKey:
        """The job it is of."""
        return self.config.job

    @property
    def key(self) -> InstanceKey:
        """The instance it is a run of."""
        return InstanceKey(self.config.job, self.instance)

    @property
    def status_time_ms(self) -> int:
        """Since when it has its status; 0 if it has no event."""
        return self.events[-1].time_ms if self.events else 0
