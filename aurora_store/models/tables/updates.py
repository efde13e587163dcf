"""Updates of jobs: a small row each, its instructions and events beside it."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from aurora_store.models.tables.base import Base, EnumNumber
from aurora_store.models.tables.hierarchy import JobRow
from aurora_store.models.tables.tasks import TaskConfigRow
from aurora_store.models.values.enums import JobUpdateAction, JobUpdateStatus

__all__ = [
    "JobInstanceUpdateEventRow",
    "JobUpdateConfigRow",
    "JobUpdateEventRow",
    "JobUpdateInstructionsRow",
    "JobUpdateRow",
]


class JobUpdateRow(Base):
    """An update, and where it stands: status and times are those of its events, by triggers.

    The order of every answer is the last modification, then `id`: stable, as no two are equal.
    """

    __tablename__ = "job_update"
    __table_args__ = (
        UniqueConstraint("job_id", "update_id"),
        Index(None, "modified_ms"),
        Index(None, "job_id", "modified_ms"),
        Index(None, "user", "modified_ms"),
        Index(None, "status", "modified_ms"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    update_id: Mapped[str]
    user: Mapped[str]
    status: Mapped[JobUpdateStatus | None] = mapped_column(EnumNumber(JobUpdateStatus))
    created_ms: Mapped[int] = mapped_column(server_default="0")
    modified_ms: Mapped[int] = mapped_column(server_default="0")

    job: Mapped[JobRow] = relationship(viewonly=True)
    events: Mapped[list[JobUpdateEventRow]] = relationship(
        viewonly=True, order_by="JobUpdateEventRow.sequence"
    )
    instance_events: Mapped[list[JobInstanceUpdateEventRow]] = relationship(
        viewonly=True, order_by="JobInstanceUpdateEventRow.sequence"
    )


class JobUpdateInstructionsRow(Base):
    """What an update is to do, in canonical form, but for the configurations."""

    __tablename__ = "job_update_instructions"

    update_row_id: Mapped[int] = mapped_column(
        ForeignKey("job_update.id", ondelete="CASCADE"), primary_key=True
    )
    settings: Mapped[str]
    metadata_: Mapped[str] = mapped_column("metadata")


class JobUpdateConfigRow(Base):
    """A configuration that instances had before an update (or `desired`: are to have)."""

    __tablename__ = "job_update_config"
    __table_args__ = (Index(None, "config_id"), {"sqlite_with_rowid": False})

    update_row_id: Mapped[int] = mapped_column(
        ForeignKey("job_update.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(primary_key=True)
    config_id: Mapped[int] = mapped_column(ForeignKey("task_config.id"))
    desired: Mapped[bool]
    instances: Mapped[str]

    config: Mapped[TaskConfigRow] = relationship(viewonly=True)


class JobUpdateEventRow(Base):
    """A change of an update's status."""

    __tablename__ = "job_update_event"
    __table_args__ = {"sqlite_with_rowid": False}

    update_row_id: Mapped[int] = mapped_column(
        ForeignKey("job_update.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[JobUpdateStatus] = mapped_column(EnumNumber(JobUpdateStatus))
    time_ms: Mapped[int]
    user: Mapped[str | None]
    message: Mapped[str | None]


class JobInstanceUpdateEventRow(Base):
    """What an update did to an instance."""

    __tablename__ = "job_instance_update_event"
    __table_args__ = (Index(None, "update_row_id", "instance"), {"sqlite_with_rowid": False})

    update_row_id: Mapped[int] = mapped_column(
        ForeignKey("job_update.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(primary_key=True)
    instance: Mapped[int]
    time_ms: Mapped[int]
    action: Mapped[JobUpdateAction] = mapped_column(EnumNumber(JobUpdateAction))
    message: Mapped[str | None]
