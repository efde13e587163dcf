"""Rows that others share: the hierarchy of jobs, and task configurations by their content.

Both appear with their first user, and triggers delete them with their last. So they are written
just before the row that uses them, in its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from aurora_store.models.stores.base import BaseStore
from aurora_store.models.values.canonical import decode, digest, dump, encode
from aurora_store.models.values.config import TaskConfig
from aurora_store.models.values.keys import JobKey

__all__ = ["ConfigIds", "JobRows", "job_key"]

_FIND_JOB: Final = """SELECT job.id FROM role
  JOIN environment ON environment.role_id = role.id
  JOIN job ON job.environment_id = environment.id
  WHERE role.name = ? AND environment.name = ? AND job.name = ?"""
_ADD_ROLE: Final = "INSERT INTO role (name) VALUES (?) ON CONFLICT (name) DO NOTHING"
_ADD_ENVIRONMENT: Final = """INSERT INTO environment (role_id, name)
  SELECT id, ? FROM role WHERE name = ? ON CONFLICT (role_id, name) DO NOTHING"""
_ADD_JOB: Final = """INSERT INTO job (role_id, environment_id, name)
  SELECT role.id, environment.id, ? FROM role JOIN environment ON environment.role_id = role.id
  WHERE role.name = ? AND environment.name = ?"""
_FIND_CONFIG: Final = "SELECT id, job_id FROM task_config WHERE hash = ?"
_ADD_CONFIG: Final = """INSERT INTO task_config (hash, job_id, tier, production, dedicated,
  is_service, priority, max_task_failures, cpus_milli, ram_mb, disk_mb, gpus, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_READ_CONFIGS: Final = """SELECT id, body FROM task_config
  WHERE id IN (SELECT value FROM json_each(?))"""


class ConfigIds(NamedTuple):
    """Where a configuration is."""

    config: int
    job: int


class JobRows(BaseStore):
    """The shared rows."""

    __slots__ = ()

    def find(self, key: JobKey) -> int | None:
        """A job's id, if it has a row."""
        row = self._row(_FIND_JOB, (key.role, key.environment, key.name))
        return None if row is None else int(row[0])

    def put(self, key: JobKey) -> int:
        """A job's id; it gets a row if it has none."""
        found = self.find(key)
        if found is None:
            self._run(_ADD_ROLE, (key.role,))
            self._run(_ADD_ENVIRONMENT, (key.environment, key.role))
            self._run(_ADD_JOB, (key.name, key.role, key.environment))
            found = self.find(key)
            assert found is not None
        return found

    def put_config(self, config: TaskConfig) -> ConfigIds:
        """A configuration's row; it gets one if none has its content."""
        body, hashed = _canonical(config)
        row = self._row(_FIND_CONFIG, (hashed,))
        if row is None:
            resources = config.resources
            self._run(
                _ADD_CONFIG,
                (
                    hashed,
                    self.put(config.job),
                    config.tier or "",
                    config.production,
                    config.is_dedicated,
                    config.is_service,
                    config.priority,
                    config.max_task_failures,
                    resources.cpus_milli,
                    resources.ram_mb,
                    resources.disk_mb,
                    resources.gpus,
                    body,
                ),
            )
            row = self._row(_FIND_CONFIG, (hashed,))
        return ConfigIds(row[0], row[1])

    def configs(self, ids: Iterable[int]) -> dict[int, TaskConfig]:
        """Configurations by id. One that was read before is not decoded again."""
        rows = self._rows(_READ_CONFIGS, (dump(list(ids)),))
        return {number: _decoded(body) for number, body in rows}


@lru_cache(maxsize=65_536)
def job_key(role: str, environment: str, name: str) -> JobKey:
    """The key of a row; not checked again each time."""
    return JobKey(role, environment, name)


@lru_cache(maxsize=4096)
def _canonical(config: TaskConfig) -> tuple[str, bytes]:
    body = encode(config)
    return body, digest(body)


@lru_cache(maxsize=4096)
def _decoded(body: str) -> TaskConfig:
    return decode(TaskConfig, body)
