"""Role -> environment -> job, and what is counted of each.

A row of the hierarchy is there as long as a job has a task, a cron job, an update or a lock. The
tallies and usages are kept by triggers, whoever writes; a row whose count is zero is deleted, so
reading them costs the size of the answer.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from aurora_store.models.tables.base import Base, EnumNumber
from aurora_store.models.values.enums import ScheduleStatus

__all__ = [
    "EnvironmentRow",
    "EnvironmentTallyRow",
    "JobRow",
    "JobTallyRow",
    "JobUsageRow",
    "RoleRow",
    "RoleTallyRow",
    "RoleUsageRow",
]


class RoleRow(Base):
    """A role: who owns jobs. `jobs` counts those that have tasks, `cron_jobs` the cron jobs."""

    __tablename__ = "role"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    jobs: Mapped[int] = mapped_column(server_default="0")
    cron_jobs: Mapped[int] = mapped_column(server_default="0")


class EnvironmentRow(Base):
    """An environment of a role."""

    __tablename__ = "environment"
    __table_args__ = (UniqueConstraint("role_id", "name"), Index(None, "name"))

    id: Mapped[int] = mapped_column(primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"))
    name: Mapped[str]

    role: Mapped[RoleRow] = relationship(viewonly=True)


class JobRow(Base):
    """A job. `role_id` is that of its environment: it saves triggers and queries a step."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("environment_id", "name"),
        Index(None, "role_id"),
        Index(None, "name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"))
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id"))
    name: Mapped[str]

    role: Mapped[RoleRow] = relationship(viewonly=True)
    environment: Mapped[EnvironmentRow] = relationship(viewonly=True)


class _Tally:
    """How many tasks have a status."""

    __table_args__ = {"sqlite_with_rowid": False}

    @declared_attr
    def status(cls) -> Mapped[ScheduleStatus]:  # noqa: N805
        return mapped_column(EnumNumber(ScheduleStatus), primary_key=True)

    tasks: Mapped[int]


class RoleTallyRow(_Tally, Base):
    """Tasks of a role by status."""

    __tablename__ = "role_tally"

    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"), primary_key=True, sort_order=-1)


class EnvironmentTallyRow(_Tally, Base):
    """Tasks of an environment by status."""

    __tablename__ = "environment_tally"

    environment_id: Mapped[int] = mapped_column(
        ForeignKey("environment.id"), primary_key=True, sort_order=-1
    )


class JobTallyRow(_Tally, Base):
    """Tasks of a job by status."""

    __tablename__ = "job_tally"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True, sort_order=-1)


class _Usage:
    """What active tasks take, by what decides which quota they count against."""

    __table_args__ = {"sqlite_with_rowid": False}

    tier: Mapped[str] = mapped_column(primary_key=True)
    production: Mapped[bool] = mapped_column(primary_key=True)
    dedicated: Mapped[bool] = mapped_column(primary_key=True)
    tasks: Mapped[int]
    cpus_milli: Mapped[int]
    ram_mb: Mapped[int]
    disk_mb: Mapped[int]
    gpus: Mapped[int]


class RoleUsageRow(_Usage, Base):
    """What a role's active tasks take."""

    __tablename__ = "role_usage"

    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"), primary_key=True, sort_order=-1)


class JobUsageRow(_Usage, Base):
    """What a job's active tasks take."""

    __tablename__ = "job_usage"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True, sort_order=-1)
