"""The stores: everything that is read and written of the model, inside one transaction."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import Connection

from aurora_store.models.stores.counts import Counts, JobSummary, RoleSummary, Usage
from aurora_store.models.stores.crons import CronJobStore
from aurora_store.models.stores.hosts import AttributeStore, HostMaintenanceStore
from aurora_store.models.stores.roles import JobLocked, LockStore, QuotaStore, SchedulerStore
from aurora_store.models.stores.tasks import Page, TaskStore
from aurora_store.models.stores.updates import JobUpdateStore, SummaryPage, UnknownUpdate

__all__ = [
    "AttributeStore",
    "Counts",
    "CronJobStore",
    "HostMaintenanceStore",
    "JobLocked",
    "JobSummary",
    "JobUpdateStore",
    "LockStore",
    "Page",
    "QuotaStore",
    "RoleSummary",
    "SchedulerStore",
    "Stores",
    "SummaryPage",
    "TaskStore",
    "UnknownUpdate",
    "Usage",
]


class Stores:
    """All stores of one transaction.

        with store.begin() as connection:
            Stores(connection).quotas.save("www-data", Quota(cpus=8, ram_mb=4096, disk_mb=8192))

    Nothing is durable before the transaction commits. A connection of `Store.read` gives stores
    that read; what they write is refused with `NotLeader`. Used by one thread at a time, as the
    connection.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @cached_property
    def tasks(self) -> TaskStore:
        """Tasks."""
        return TaskStore(self.connection)

    @cached_property
    def counts(self) -> Counts:
        """What is counted of tasks."""
        return Counts(self.connection)

    @cached_property
    def crons(self) -> CronJobStore:
        """Cron jobs."""
        return CronJobStore(self.connection)

    @cached_property
    def updates(self) -> JobUpdateStore:
        """Updates of jobs."""
        return JobUpdateStore(self.connection)

    @cached_property
    def quotas(self) -> QuotaStore:
        """Quotas of roles."""
        return QuotaStore(self.connection)

    @cached_property
    def attributes(self) -> AttributeStore:
        """Attributes of hosts."""
        return AttributeStore(self.connection)

    @cached_property
    def maintenance(self) -> HostMaintenanceStore:
        """Requests for maintenance."""
        return HostMaintenanceStore(self.connection)

    @cached_property
    def scheduler(self) -> SchedulerStore:
        """The framework id and more of the scheduler's own."""
        return SchedulerStore(self.connection)

    @cached_property
    def locks(self) -> LockStore:
        """Locks of jobs."""
        return LockStore(self.connection)
