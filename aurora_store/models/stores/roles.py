"""Quotas of roles, locks of jobs, and what the scheduler keeps of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Final

from aurora_store.errors import StoreError
from aurora_store.models.stores.base import BaseStore
from aurora_store.models.stores.jobs import JobRows, job_key
from aurora_store.models.values import checks
from aurora_store.models.values.jobs import Lock, Quota
from aurora_store.models.values.keys import JobKey

__all__ = ["JobLocked", "LockStore", "QuotaStore", "SchedulerStore"]

_SAVE_QUOTA: Final = """INSERT INTO quota (role, cpus, ram_mb, disk_mb) VALUES (?, ?, ?, ?)
  ON CONFLICT (role) DO UPDATE SET cpus = excluded.cpus, ram_mb = excluded.ram_mb,
  disk_mb = excluded.disk_mb"""
_LOCKS: Final = """SELECT role.name, environment.name, job.name, job_lock.token, job_lock.user,
  job_lock.time_ms, job_lock.message FROM job_lock JOIN job ON job.id = job_lock.job_id
  JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id"""
_SAVE_LOCK: Final = """INSERT INTO job_lock (job_id, token, user, time_ms, message)
  VALUES (?, ?, ?, ?, ?) ON CONFLICT (job_id) DO UPDATE SET token = excluded.token,
  user = excluded.user, time_ms = excluded.time_ms, message = excluded.message"""
_SAVE_METADATA: Final = """INSERT INTO scheduler_metadata (name, value) VALUES (?, ?)
  ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value"""
_FRAMEWORK_ID: Final = "framework_id"


class JobLocked(StoreError):
    """Who would change a job does not hold its lock; nothing was written."""


class QuotaStore(BaseStore):
    """What each role may use."""

    __slots__ = ()

    def fetch(self, role: str) -> Quota | None:
        """Of one role."""
        row = self._row("SELECT cpus, ram_mb, disk_mb FROM quota WHERE role = ?", (role,))
        return None if row is None else Quota(*row)

    def fetch_all(self) -> Mapping[str, Quota]:
        """Of all roles that have one."""
        rows = self._rows("SELECT role, cpus, ram_mb, disk_mb FROM quota ORDER BY role")
        return {role: Quota(*amounts) for role, *amounts in rows}

    def save(self, role: str, quota: Quota) -> None:
        """Gives a role a quota, or another one."""
        checks.identifier("role", role)
        self._run(_SAVE_QUOTA, (role, quota.cpus, quota.ram_mb, quota.disk_mb))

    def remove(self, role: str) -> None:
        """Removes it, if it is there."""
        self._run("DELETE FROM quota WHERE role = ?", (role,))

    def delete_all(self) -> None:
        """Removes all."""
        self._run("DELETE FROM quota")


class LockStore(BaseStore):
    """Who alone may change a job.

    An update acquires its job's lock and gives it up when it has ended, so a job has one active
    update at most. Whoever else changes the job asks `check` first, in the same transaction.
    """

    __slots__ = ()

    def fetch(self, job: JobKey) -> Lock | None:
        """Of one job."""
        number = JobRows(self._connection).find(job)
        found = self._fetch(f"{_LOCKS} WHERE job_lock.job_id = ?", number)
        return found[0] if found else None

    def fetch_all(self) -> Sequence[Lock]:
        """All, in no particular order."""
        return self._fetch(_LOCKS)

    def check(self, job: JobKey, token: str | None) -> None:
        """Returns if the job's lock is the one of that token; for `None`, if it has none.

        Raises:
            JobLocked: it is not.
        """
        lock = self.fetch(job)
        if (lock.token if lock is not None else None) == token:
            return
        if lock is None:
            raise JobLocked(
                f"{job} is not locked any more, and was to be changed by the holder of a lock",
                hint="see who removed it, and acquire it again",
            )
        why = f" ({lock.message})" if lock.message else ""
        raise JobLocked(
            f"{job} is locked by {lock.user} since {_when(lock.time_ms)}{why}",
            hint="wait until the update has ended, or abort it",
        )

    def acquire(self, lock: Lock) -> None:
        """Adds it.

        Raises:
            JobLocked: the job has one already.
        """
        self.check(lock.job, None)
        self.save(lock)

    def save(self, lock: Lock) -> None:
        """Adds it, or replaces the one of its job, whoever holds that."""
        job = JobRows(self._connection).put(lock.job)
        self._run(_SAVE_LOCK, (job, lock.token, lock.user, lock.time_ms, lock.message))

    def remove(self, job: JobKey) -> None:
        """Removes it, if it is there."""
        number = JobRows(self._connection).find(job)
        self._run("DELETE FROM job_lock WHERE job_id = ?", (number,))

    def delete_all(self) -> None:
        """Removes all."""
        self._run("DELETE FROM job_lock")

    def _fetch(self, sql: str, *parameters: int | None) -> list[Lock]:
        return [
            Lock(job_key(role, environment, name), token, user, time_ms, message)
            for role, environment, name, token, user, time_ms, message in self._rows(
                sql, parameters
            )
        ]


def _when(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc).isoformat(timespec="seconds")


class SchedulerStore(BaseStore):
    """The framework id, and texts by name: versions, addresses, build properties."""

    __slots__ = ()

    def fetch_framework_id(self) -> str | None:
        """Mesos's id of this framework; `None` before the first registration."""
        return self.fetch_metadata().get(_FRAMEWORK_ID)

    def save_framework_id(self, framework_id: str) -> None:
        """Keeps it."""
        checks.text("framework_id", framework_id)
        self.save_metadata({_FRAMEWORK_ID: framework_id})

    def fetch_metadata(self) -> Mapping[str, str]:
        """Everything, the framework id included."""
        rows = self._rows("SELECT name, value FROM scheduler_metadata ORDER BY name")
        return {name: value for name, value in rows}

    def save_metadata(self, details: Mapping[str, str]) -> None:
        """Adds and replaces; what is not named stays."""
        self._run_each(_SAVE_METADATA, [(name, value) for name, value in details.items()])
