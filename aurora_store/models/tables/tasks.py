"""Tasks: a small flat row each, its configuration shared, its events and ports beside it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from aurora_store.models.tables.base import Base, EnumNumber
from aurora_store.models.tables.hierarchy import JobRow
from aurora_store.models.values.enums import (
    ACTIVE_STATES,
    TERMINAL_STATES,
    CronCollisionPolicy,
    ScheduleStatus,
)

__all__ = [
    "ACTIVE_NUMBERS",
    "TERMINAL_NUMBERS",
    "AgentRow",
    "CronJobRow",
    "TaskConfigRow",
    "TaskEventRow",
    "TaskPortRow",
    "TaskRow",
]

ACTIVE_NUMBERS: Final = ", ".join(str(int(status)) for status in sorted(ACTIVE_STATES))
TERMINAL_NUMBERS: Final = ", ".join(str(int(status)) for status in sorted(TERMINAL_STATES))
_TERMINAL: Final = text(f"status IN ({TERMINAL_NUMBERS})")


class TaskConfigRow(Base):
    """What tasks run: one row for each content, however many tasks, cron jobs and updates use it.

    `body` is the canonical form of a `TaskConfig` (`aurora_store.models.values.canonical`), `hash`
    is found by it, and the columns are what queries and quotas ask for. It goes with its last user.
    """

    __tablename__ = "task_config"
    __table_args__ = (Index(None, "job_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    tier: Mapped[str]
    production: Mapped[bool]
    dedicated: Mapped[bool]
    is_service: Mapped[bool]
    priority: Mapped[int]
    max_task_failures: Mapped[int]
    cpus_milli: Mapped[int]
    ram_mb: Mapped[int]
    disk_mb: Mapped[int]
    gpus: Mapped[int]
    body: Mapped[str]


class AgentRow(Base):
    """Where tasks are: an agent of Mesos, and its host. It goes with the last of its tasks."""

    __tablename__ = "agent"
    __table_args__ = (UniqueConstraint("agent_id", "host"), Index(None, "host"))

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[str]
    host: Mapped[str]


class TaskRow(Base):
    """A task.

    `id` grows with time, so it is the order of every answer. The indexes on terminal tasks alone
    are for pruning; they cost a running task nothing.
    """

    __tablename__ = "task"
    __table_args__ = (
        Index(None, "job_id", "instance"),
        Index(None, "job_id", "status"),
        Index(None, "status"),
        Index(None, "instance"),
        Index(None, "config_id"),
        Index(None, "agent_row_id", sqlite_where=text("agent_row_id IS NOT NULL")),
        Index("ix_task_history", "job_id", "status_time_ms", sqlite_where=_TERMINAL),
        Index("ix_task_age", "status_time_ms", sqlite_where=_TERMINAL),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[str] = mapped_column(unique=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    instance: Mapped[int]
    status: Mapped[ScheduleStatus] = mapped_column(EnumNumber(ScheduleStatus))
    status_time_ms: Mapped[int]
    config_id: Mapped[int] = mapped_column(ForeignKey("task_config.id"))
    agent_row_id: Mapped[int | None] = mapped_column(ForeignKey("agent.id"))
    failures: Mapped[int] = mapped_column(server_default="0")
    times_partitioned: Mapped[int] = mapped_column(server_default="0")
    ancestor: Mapped[str | None]

    job: Mapped[JobRow] = relationship(viewonly=True)
    config: Mapped[TaskConfigRow] = relationship(viewonly=True)
    agent: Mapped[AgentRow | None] = relationship(viewonly=True)
    events: Mapped[list[TaskEventRow]] = relationship(
        viewonly=True, order_by="TaskEventRow.sequence"
    )
    ports: Mapped[list[TaskPortRow]] = relationship(viewonly=True)


class TaskEventRow(Base):
    """A change of a task's status; the events of a task lie side by side."""

    __tablename__ = "task_event"
    __table_args__ = {"sqlite_with_rowid": False}

    task_row_id: Mapped[int] = mapped_column(
        ForeignKey("task.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(primary_key=True)
    time_ms: Mapped[int]
    status: Mapped[ScheduleStatus] = mapped_column(EnumNumber(ScheduleStatus))
    message: Mapped[str | None]
    scheduler: Mapped[str | None]


class TaskPortRow(Base):
    """A port that a task was given."""

    __tablename__ = "task_port"
    __table_args__ = {"sqlite_with_rowid": False}

    task_row_id: Mapped[int] = mapped_column(
        ForeignKey("task.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    port: Mapped[int]


class CronJobRow(Base):
    """A job that starts at times."""

    __tablename__ = "cron_job"
    __table_args__ = (Index(None, "config_id"),)

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    owner: Mapped[str]
    schedule: Mapped[str | None]
    collision_policy: Mapped[CronCollisionPolicy] = mapped_column(EnumNumber(CronCollisionPolicy))
    instance_count: Mapped[int]
    config_id: Mapped[int] = mapped_column(ForeignKey("task_config.id"))

    job: Mapped[JobRow] = relationship(viewonly=True)
    config: Mapped[TaskConfigRow] = relationship(viewonly=True)
