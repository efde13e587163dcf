"""Jobs as users ask for them, and what a role may use."""

from __future__ import annotations

from dataclasses import dataclass

from aurora_store.models.values import checks
from aurora_store.models.values.config import TaskConfig
from aurora_store.models.values.enums import CronCollisionPolicy
from aurora_store.models.values.keys import JobKey

__all__ = ["JobConfiguration", "Lock", "Quota"]


@dataclass(frozen=True, slots=True)
class JobConfiguration:
    """A job: so many instances of a task, at once or at times.

    Attributes:
        cron_schedule: when, in crontab's form; a cron job has one.
    """

    key: JobKey
    owner: str
    config: TaskConfig
    instance_count: int
    cron_schedule: str | None = None
    cron_collision_policy: CronCollisionPolicy = CronCollisionPolicy.KILL_EXISTING

    def __post_init__(self) -> None:
        checks.text("JobConfiguration.owner", self.owner)
        checks.integer("JobConfiguration.instance_count", self.instance_count, at_least=1)
        if self.config.job != self.key:
            raise ValueError(
                f"JobConfiguration.config is of the job {self.config.job}, not of {self.key}"
            )
        object.__setattr__(
            self,
            "cron_collision_policy",
            checks.member(
                "JobConfiguration.cron_collision_policy",
                self.cron_collision_policy,
                CronCollisionPolicy,
            ),
        )


@dataclass(frozen=True, slots=True)
class Quota:
    """What a role may use: processors, memory and disk, and nothing else."""

    cpus: float
    ram_mb: int
    disk_mb: int

    def __post_init__(self) -> None:
        checks.number("Quota.cpus", self.cpus, above=-0.001)
        object.__setattr__(self, "cpus", max(0.0, float(self.cpus)))
        checks.integer("Quota.ram_mb", self.ram_mb)
        checks.integer("Quota.disk_mb", self.disk_mb)


@dataclass(frozen=True, slots=True)
class Lock:
    """A job that only the holder of the token may change."""

    job: JobKey
    token: str
    user: str
    time_ms: int
    message: str | None = None

    def __post_init__(self) -> None:
        checks.text("Lock.token", self.token)
        checks.text("Lock.user", self.user)
        checks.integer("Lock.time_ms", self.time_ms)
