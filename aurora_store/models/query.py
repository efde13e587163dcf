"""Queries of tasks and updates, and the SQL they become.

A restriction that is left out, or is empty, restricts nothing; all others hold together. Which
index a query walks is decided here and not by SQLite, which has no statistics of a database that
changes all the time: the restriction that leaves the fewest rows leads, and the others are looked
up in the rows it finds. Sets travel as one JSON parameter each, so a query has one statement
whatever their sizes, and SQLite compiles it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from aurora_store.models.values import checks
from aurora_store.models.values.canonical import dump
from aurora_store.models.values.enums import (
    ACTIVE_STATES,
    TERMINAL_STATES,
    JobUpdateStatus,
    ScheduleStatus,
)
from aurora_store.models.values.keys import InstanceKey, JobKey, JobUpdateKey

__all__ = ["JobUpdateQuery", "TaskQuery"]

Statement = tuple[str, dict[str, Any]]

_Status = TypeVar("_Status", ScheduleStatus, JobUpdateStatus)

_SETS: Final[dict[str, Callable[[str, Any], None]]] = {
    "task_ids": checks.text,
    "instances": checks.integer,
    "hosts": checks.text,
    "jobs": partial(checks.instance, kind=JobKey),
}

_JOBS_OF_KEYS = """SELECT job.id FROM json_each(:jobs) AS key
  CROSS JOIN role ON role.name = key.value ->> 0
  CROSS JOIN environment ON environment.role_id = role.id AND environment.name = key.value ->> 1
  CROSS JOIN job ON job.environment_id = environment.id AND job.name = key.value ->> 2"""


@dataclass(frozen=True)
class TaskQuery:
    """Which tasks. Answers are in the order in which tasks were made, always.

    Attributes:
        role, environment, job_name: of the task's job.
        task_ids, statuses, instances, hosts, jobs: the task has one of these.
        offset: skips so many. Each page walks over all before it: see `TaskStore.fetch_page`.
        limit: at most so many.
    """

    role: str | None = None
    environment: str | None = None
    job_name: str | None = None
    task_ids: frozenset[str] = frozenset()
    statuses: frozenset[ScheduleStatus] = frozenset()
    instances: frozenset[int] = frozenset()
    hosts: frozenset[str] = frozenset()
    jobs: frozenset[JobKey] = frozenset()
    offset: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        _texts("TaskQuery", role=self.role, environment=self.environment, job_name=self.job_name)
        for name, check in _SETS.items():
            given = checks.several(f"TaskQuery.{name}", getattr(self, name))
            for each in given:
                check(f"TaskQuery.{name}", each)
            object.__setattr__(self, name, frozenset(given))
        object.__setattr__(self, "statuses", _statuses("TaskQuery", self.statuses, ScheduleStatus))
        checks.integer("TaskQuery.offset", self.offset)
        if self.limit is not None:
            checks.integer("TaskQuery.limit", self.limit)

    # ---- scopes ----

    @classmethod
    def unscoped(cls) -> TaskQuery:
        """Every task."""
        return cls()

    @classmethod
    def role_scoped(cls, role: str) -> TaskQuery:
        """Tasks of a role."""
        checks.text("role", role)
        return cls(role=role)

    @classmethod
    def environment_scoped(cls, role: str, environment: str) -> TaskQuery:
        """Tasks of an environment."""
        checks.text("role", role)
        checks.text("environment", environment)
        return cls(role=role, environment=environment)

    @classmethod
    def job_scoped(cls, *jobs: JobKey) -> TaskQuery:
        """Tasks of these jobs."""
        return cls(jobs=_some("a job", jobs))

    @classmethod
    def instance_scoped(cls, job: JobKey | InstanceKey, *instances: int) -> TaskQuery:
        """Tasks of these instances of a job."""
        if isinstance(job, InstanceKey):
            return cls(
                jobs=frozenset({job.job}),
                instances=_some("an instance", (job.instance, *instances)),
            )
        return cls(jobs=frozenset({job}), instances=_some("an instance", instances))

    @classmethod
    def task_scoped(cls, *task_ids: str) -> TaskQuery:
        """These tasks."""
        return cls(task_ids=_some("a task id", task_ids))

    @classmethod
    def host_scoped(cls, *hosts: str) -> TaskQuery:
        """Tasks on these hosts."""
        return cls(hosts=_some("a host", hosts))

    @classmethod
    def status_scoped(cls, *statuses: ScheduleStatus) -> TaskQuery:
        """Tasks of these statuses."""
        return cls(statuses=_some("a status", statuses))

    def active(self) -> TaskQuery:
        """Those of them that run, or are to run."""
        return replace(self, statuses=ACTIVE_STATES)

    def terminal(self) -> TaskQuery:
        """Those of them that ended."""
        return replace(self, statuses=TERMINAL_STATES)

    def by_status(self, *statuses: ScheduleStatus) -> TaskQuery:
        """Those of them that have one of these statuses."""
        return replace(self, statuses=_some("a status", statuses))

    # ---- SQL ----

    def statement(self, columns: str, *, after: int | None = None) -> Statement:
        """The statement, of ``task`` and ``agent``, and its parameters.

        Args:
            columns: what to select.
            after: only tasks whose `id` is above this.
        """
        parameters: dict[str, Any] = {}
        found: dict[str, str] = {}  # restriction -> its condition
        if self.task_ids:
            found["ids"] = "task.task_id IN (SELECT value FROM json_each(:task_ids))"
            parameters["task_ids"] = _list(self.task_ids)
        if self.hosts:
            found["hosts"] = (
                "task.agent_row_id IN (SELECT id FROM agent WHERE host IN"
                " (SELECT value FROM json_each(:hosts)))"
            )
            parameters["hosts"] = _list(self.hosts)
        if jobs := self._jobs(parameters):
            found["jobs"] = jobs
        if self.instances:
            found["instances"] = "task.instance IN (SELECT value FROM json_each(:instances))"
            parameters["instances"] = _list(self.instances)
        if self.statuses:
            numbers = ", ".join(str(int(status)) for status in sorted(self.statuses))
            found["statuses"] = f"task.status IN ({numbers})"
        conditions = list(found.values())
        if after is not None:
            conditions.append("task.id > :after")
            parameters["after"] = after
        sql = (
            f"SELECT {columns} FROM task{_index(found)}"
            " LEFT JOIN agent ON agent.id = task.agent_row_id"
        )
        if conditions:
            sql += " WHERE " + " AND ".join(conditions)
        sql += " ORDER BY task.id"
        if self.limit is not None or self.offset:
            sql += " LIMIT :limit OFFSET :offset"
            parameters["limit"] = -1 if self.limit is None else self.limit
            parameters["offset"] = self.offset
        return sql, parameters

    def _jobs(self, parameters: dict[str, Any]) -> str:
        conditions = []
        if self.role or self.environment or self.job_name:
            names = {"role": self.role, "environment": self.environment, "job": self.job_name}
            given = {table: name for table, name in names.items() if name}
            parameters |= given
            # From the top, or from the one name that is given: never over all jobs.
            tables = {
                "role": "role JOIN environment ON environment.role_id = role.id"
                " JOIN job ON job.environment_id = environment.id",
                "environment": "environment JOIN job ON job.environment_id = environment.id",
                "job": "job JOIN environment ON environment.id = job.environment_id",
            }[next(iter(given))]
            where = " AND ".join(f"{table}.name = :{table}" for table in given)
            conditions.append(f"task.job_id IN (SELECT job.id FROM {tables} WHERE {where})")
        if self.jobs:
            keys = sorted(self.jobs)
            parameters["jobs"] = dump([[key.role, key.environment, key.name] for key in keys])
            conditions.append(f"task.job_id IN ({_JOBS_OF_KEYS})")
        return " AND ".join(conditions)


def _index(found: dict[str, str]) -> str:
    """The index to walk; without a restriction the table itself, in order."""
    if "ids" in found:
        name = "sqlite_autoindex_task_1"
    elif "hosts" in found:
        name = "ix_task_agent_row_id"
    elif "jobs" in found and "instances" in found:
        name = "ix_task_job_id_instance"
    elif "jobs" in found:
        name = "ix_task_job_id_status"
    elif "instances" in found:
        name = "ix_task_instance"
    elif "statuses" in found:
        name = "ix_task_status"
    else:
        return ""
    return f" INDEXED BY {name}"


@dataclass(frozen=True)
class JobUpdateQuery:
    """Which updates. The one changed last comes first; among equals, the one that is newer.

    Attributes:
        role: of the update's job.
        key: this update.
        job: updates of this job.
        user: who asked for it.
        statuses: it has one of these.
        offset, limit: as those of `TaskQuery`.
    """

    role: str | None = None
    key: JobUpdateKey | None = None
    job: JobKey | None = None
    user: str | None = None
    statuses: frozenset[JobUpdateStatus] = frozenset()
    offset: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        _texts("JobUpdateQuery", role=self.role, user=self.user)
        if self.key is not None:
            checks.instance("JobUpdateQuery.key", self.key, JobUpdateKey)
        if self.job is not None:
            checks.instance("JobUpdateQuery.job", self.job, JobKey)
        statuses = _statuses("JobUpdateQuery", self.statuses, JobUpdateStatus)
        object.__setattr__(self, "statuses", statuses)
        checks.integer("JobUpdateQuery.offset", self.offset)
        if self.limit is not None:
            checks.integer("JobUpdateQuery.limit", self.limit)

    def statement(self, columns: str, *, after: tuple[int, int] | None = None) -> Statement:
        """The statement, of ``job_update``, and its parameters.

        Args:
            columns: what to select.
            after: only updates that come after that of this `modified_ms` and `id`.
        """
        parameters: dict[str, Any] = {}
        conditions = []
        index = "ix_job_update_modified_ms"
        if self.statuses:
            numbers = ", ".join(str(int(status)) for status in sorted(self.statuses))
            conditions.append(f"job_update.status IN ({numbers})")
            index = "ix_job_update_status_modified_ms"
        if self.user:
            conditions.append("job_update.user = :user")
            parameters["user"] = self.user
            index = "ix_job_update_user_modified_ms"
        if self.role:
            conditions.append(
                "job_update.job_id IN (SELECT job.id FROM role JOIN job ON job.role_id = role.id"
                " WHERE role.name = :role)"
            )
            parameters["role"] = self.role
            index = "ix_job_update_job_id_modified_ms"
        keys = {key for key in (self.job, self.key and self.key.job) if key}
        for number, key in enumerate(sorted(keys)):
            conditions.append(
                "job_update.job_id = (SELECT job.id FROM role"
                " JOIN environment ON environment.role_id = role.id"
                " JOIN job ON job.environment_id = environment.id"
                f" WHERE role.name = :role{number} AND environment.name = :environment{number}"
                f" AND job.name = :job{number})"
            )
            parameters |= {
                f"role{number}": key.role,
                f"environment{number}": key.environment,
                f"job{number}": key.name,
            }
            index = "ix_job_update_job_id_modified_ms"
        if self.key:
            conditions.append("job_update.update_id = :update_id")
            parameters["update_id"] = self.key.id
            index = "sqlite_autoindex_job_update_1"
        if after is not None:
            conditions.append("(job_update.modified_ms, job_update.id) < (:modified, :id)")
            parameters["modified"], parameters["id"] = after
        sql = f"SELECT {columns} FROM job_update INDEXED BY {index}"
        if conditions:
            sql += " WHERE " + " AND ".join(conditions)
        sql += " ORDER BY job_update.modified_ms DESC, job_update.id DESC"
        if self.limit is not None or self.offset:
            sql += " LIMIT :limit OFFSET :offset"
            parameters["limit"] = -1 if self.limit is None else self.limit
            parameters["offset"] = self.offset
        return sql, parameters


def _some(what: str, given: tuple[Any, ...]) -> Any:
    """A scope of nothing would be a query of everything. The query makes a set of them."""
    if not given:
        raise ValueError(f"the scope needs {what} at least; without one it would be every task")
    return given


def _texts(query: str, **given: str | None) -> None:
    """An empty one restricts nothing."""
    for name, value in given.items():
        if value:
            checks.text(f"{query}.{name}", value)


def _statuses(query: str, given: Iterable[_Status], kind: type[_Status]) -> frozenset[_Status]:
    field = f"{query}.statuses"
    return frozenset(checks.member(field, each, kind) for each in checks.several(field, given))


def _list(values: Iterable[Any]) -> str:
    return dump(sorted(values))
