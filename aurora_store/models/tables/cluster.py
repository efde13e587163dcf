"""What is not of one job: quotas, hosts, the scheduler itself; and locks, which are of a job."""

from __future__ import annotations

from sqlalchemy import Double, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from aurora_store.models.tables.base import Base, EnumNumber
from aurora_store.models.values.enums import MaintenanceMode

__all__ = [
    "HostAttributesRow",
    "HostMaintenanceRow",
    "JobLockRow",
    "QuotaRow",
    "SchedulerMetadataRow",
]


class QuotaRow(Base):
    """What a role may use. By name: a role may have a quota before it has a job."""

    __tablename__ = "quota"
    __table_args__ = {"sqlite_with_rowid": False}

    role: Mapped[str] = mapped_column(primary_key=True)
    # Named, because what `float` alone becomes depends on the release of SQLAlchemy.
    cpus: Mapped[float] = mapped_column(Double)
    ram_mb: Mapped[int]
    disk_mb: Mapped[int]


class HostAttributesRow(Base):
    """What an agent said of its host; `id` grows with each agent that is new."""

    __tablename__ = "host_attributes"
    __table_args__ = (Index(None, "host"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[str] = mapped_column(unique=True)
    host: Mapped[str]
    mode: Mapped[MaintenanceMode] = mapped_column(EnumNumber(MaintenanceMode))
    attributes: Mapped[str]


class HostMaintenanceRow(Base):
    """A host that is to be drained."""

    __tablename__ = "host_maintenance"
    __table_args__ = {"sqlite_with_rowid": False}

    host: Mapped[str] = mapped_column(primary_key=True)
    sla_policy: Mapped[str]
    timeout_secs: Mapped[int]
    created_ms: Mapped[int]


class SchedulerMetadataRow(Base):
    """What a scheduler keeps of itself by name: its framework id, its version."""

    __tablename__ = "scheduler_metadata"
    __table_args__ = {"sqlite_with_rowid": False}

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class JobLockRow(Base):
    """Who alone may change a job."""

    __tablename__ = "job_lock"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    user: Mapped[str]
    time_ms: Mapped[int]
    message: Mapped[str | None]
