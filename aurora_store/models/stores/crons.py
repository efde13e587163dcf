"""Cron jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aurora_store.models.stores.base import BaseStore
from aurora_store.models.stores.jobs import JobRows
from aurora_store.models.values.enums import CronCollisionPolicy
from aurora_store.models.values.jobs import JobConfiguration
from aurora_store.models.values.keys import JobKey

__all__ = ["CronJobStore"]

_SELECT: Final = """SELECT config_id, owner, instance_count, schedule, collision_policy
  FROM cron_job"""
_SAVE: Final = """INSERT INTO cron_job (job_id, config_id, owner, instance_count, schedule,
  collision_policy) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (job_id) DO UPDATE SET config_id = excluded.config_id, owner = excluded.owner,
  instance_count = excluded.instance_count, schedule = excluded.schedule,
  collision_policy = excluded.collision_policy"""


class CronJobStore(BaseStore):
    """The jobs that start at times; one for each key."""

    __slots__ = ()

    def fetch_jobs(self) -> Sequence[JobConfiguration]:
        """All, in no particular order."""
        return self._jobs(self._rows(_SELECT))

    def fetch_job(self, key: JobKey) -> JobConfiguration | None:
        """One of them."""
        job = JobRows(self._connection).find(key)
        found = self._jobs(self._rows(f"{_SELECT} WHERE job_id = ?", (job,)))
        return found[0] if found else None

    def save_accepted_job(self, job: JobConfiguration) -> None:
        """Adds it, or replaces the one of its key."""
        ids = JobRows(self._connection).put_config(job.config)
        self._run(
            _SAVE,
            (
                ids.job,
                ids.config,
                job.owner,
                job.instance_count,
                job.cron_schedule,
                int(job.cron_collision_policy),
            ),
        )

    def remove_job(self, key: JobKey) -> None:
        """Removes it, if it is there."""
        job = JobRows(self._connection).find(key)
        self._run("DELETE FROM cron_job WHERE job_id = ?", (job,))

    def delete_jobs(self) -> None:
        """Removes all."""
        self._run("DELETE FROM cron_job")

    def _jobs(self, rows: Sequence[Any]) -> list[JobConfiguration]:
        configs = JobRows(self._connection).configs({row[0] for row in rows})
        return [
            JobConfiguration(
                configs[config].job,
                owner,
                configs[config],
                instances,
                schedule,
                CronCollisionPolicy(policy),
            )
            for config, owner, instances, schedule, policy in rows
        ]
