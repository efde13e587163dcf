"""What is counted: read, not computed. Triggers keep it with each change of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aurora_store.models.stores.base import BaseStore
from aurora_store.models.stores.jobs import job_key
from aurora_store.models.values.enums import ScheduleStatus
from aurora_store.models.values.keys import JobKey

__all__ = ["Counts", "JobSummary", "RoleSummary", "Usage"]

_STATUSES: Final = {int(status): status for status in ScheduleStatus}
_ROLES: Final = "SELECT name, jobs, cron_jobs FROM role WHERE jobs > 0 OR cron_jobs > 0"
_OF_ROLE: Final = "FROM role JOIN role_{0} AS t ON t.role_id = role.id WHERE role.name = ?"
_OF_ENVIRONMENT: Final = """FROM role JOIN environment ON environment.role_id = role.id
  JOIN environment_{0} AS t ON t.environment_id = environment.id
  WHERE role.name = ? AND environment.name = ?"""
_OF_JOB: Final = """FROM role JOIN environment ON environment.role_id = role.id
  JOIN job ON job.environment_id = environment.id JOIN job_{0} AS t ON t.job_id = job.id
  WHERE role.name = ? AND environment.name = ? AND job.name = ?"""
_JOBS: Final = """SELECT role.name, environment.name, job.name, t.status, t.tasks FROM role
  JOIN job ON job.role_id = role.id JOIN environment ON environment.id = job.environment_id
  JOIN job_tally AS t ON t.job_id = job.id WHERE role.name = ? ORDER BY job.id"""
_USAGE: Final = "tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus"


@dataclass(frozen=True, slots=True)
class RoleSummary:
    """A role, and how many jobs it has: with tasks, and that start at times."""

    role: str
    jobs: int
    cron_jobs: int


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job that has tasks, and how many of each status."""

    job: JobKey
    tasks: Mapping[ScheduleStatus, int]


@dataclass(frozen=True, slots=True)
class Usage:
    """What active tasks take together.

    Attributes:
        tier: of their configurations; empty if they have none.
        production, dedicated: of their configurations.
        cpus_milli: thousandths of a processor.
    """

    tier: str
    production: bool
    dedicated: bool
    tasks: int
    cpus_milli: int
    ram_mb: int
    disk_mb: int
    gpus: int


class Counts(BaseStore):
    """Tasks per role, environment, job and status; what they take; which roles and jobs."""

    __slots__ = ()

    def roles(self) -> Sequence[RoleSummary]:
        """Roles that have jobs."""
        return [RoleSummary(*row) for row in self._rows(_ROLES)]

    def jobs(self, role: str) -> Sequence[JobSummary]:
        """Jobs of a role that have tasks."""
        found: dict[JobKey, dict[ScheduleStatus, int]] = {}
        for *key, status, tasks in self._rows(_JOBS, (role,)):
            found.setdefault(job_key(*key), {})[_STATUSES[status]] = tasks
        return [JobSummary(*each) for each in found.items()]

    def tasks(
        self, role: str, environment: str | None = None, job: str | None = None
    ) -> Mapping[ScheduleStatus, int]:
        """Tasks of a role, of its environment, or of a job there; statuses that none has are left
        out."""
        source, names = _source("tally", role, environment, job)
        rows = self._rows(f"SELECT t.status, t.tasks {source}", names)
        return {_STATUSES[status]: tasks for status, tasks in rows}

    def usage(self, role: str) -> Sequence[Usage]:
        """What the active tasks of a role take."""
        source, names = _source("usage", role, None, None)
        return self._usages(source, names)

    def job_usage(self, job: JobKey) -> Sequence[Usage]:
        """What the active tasks of a job take."""
        source, names = _source("usage", job.role, job.environment, job.name)
        return self._usages(source, names)

    def _usages(self, source: str, names: tuple[Any, ...]) -> list[Usage]:
        return [
            Usage(tier, bool(production), bool(dedicated), *sums)
            for tier, production, dedicated, *sums in self._rows(f"SELECT {_USAGE} {source}", names)
        ]


def _source(
    table: str, role: str, environment: str | None, job: str | None
) -> tuple[str, tuple[Any, ...]]:
    if environment is None:
        if job is not None:
            raise ValueError(f"the job {job} needs its environment, too")
        return _OF_ROLE.format(table), (role,)
    if job is None:
        return _OF_ENVIRONMENT.format(table), (role, environment)
    return _OF_JOB.format(table), (role, environment, job)
