"""What the counts must be: computed over all tasks, in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from aurora_store.models import ACTIVE_STATES, ScheduledTask, Stores, Usage


def check(stores: Stores, tasks: Iterable[ScheduledTask], cron_jobs: Iterable[Any] = ()) -> None:
    """Asserts that what the database has counted is what these tasks come to."""
    tasks = list(tasks)
    tallies: Counter[tuple[Any, ...]] = Counter()
    usages: dict[tuple[Any, ...], Counter[str]] = {}
    for task in tasks:
        key, config = task.job, task.config
        names = key.role, key.environment, key.name
        for depth in (1, 2, 3):
            tallies[(*names[:depth], task.status)] += 1
        if task.status in ACTIVE_STATES:
            for scope in (names[:1], names):
                kind = (scope, config.tier or "", config.production, config.is_dedicated)
                usages.setdefault(kind, Counter()).update(
                    tasks=1,
                    cpus_milli=config.resources.cpus_milli,
                    ram_mb=config.resources.ram_mb,
                    disk_mb=config.resources.disk_mb,
                    gpus=config.resources.gpus,
                )
    counts = stores.counts
    jobs = {task.job for task in tasks}
    crons = set(cron_jobs)
    roles = {key.role for key in jobs | crons}
    assert {(each.role, each.jobs, each.cron_jobs) for each in counts.roles()} == {
        (role, sum(j.role == role for j in jobs), sum(c.role == role for c in crons))
        for role in roles
    }
    assert sorted(stores.tasks.job_keys()) == sorted(jobs)
    active = {task.job for task in tasks if task.status in ACTIVE_STATES}
    assert sorted(stores.tasks.job_keys(active=True)) == sorted(active)
    scopes = {(key.role, key.environment, key.name)[:depth] for key in jobs for depth in (1, 2, 3)}
    for scope in scopes:
        wanted = {key[-1]: count for key, count in tallies.items() if key[:-1] == scope}
        assert dict(counts.tasks(*scope)) == wanted, scope
    for role in roles:
        wanted_jobs = {
            key: {s: tallies[(key.role, key.environment, key.name, s)] for s in statuses}
            for key, statuses in _statuses(tasks).items()
            if key.role == role
        }
        assert {each.job: dict(each.tasks) for each in counts.jobs(role)} == wanted_jobs
        assert sorted(map(repr, counts.usage(role))) == _usages(usages, (role,))
    for key in jobs:
        names = key.role, key.environment, key.name
        assert sorted(map(repr, counts.job_usage(key))) == _usages(usages, names)


def orphans(stores: Stores) -> dict[str, int]:
    """Rows that nobody uses any more, by table; there must be none."""
    questions = {
        "task_config": "id NOT IN (SELECT config_id FROM task) AND id NOT IN (SELECT config_id FROM"
        " cron_job) AND id NOT IN (SELECT config_id FROM job_update_config)",
        "agent": "id NOT IN (SELECT agent_row_id FROM task WHERE agent_row_id IS NOT NULL)",
        "job": "id NOT IN (SELECT job_id FROM task_config) AND id NOT IN (SELECT job_id FROM"
        " job_update) AND id NOT IN (SELECT job_id FROM job_lock)",
        "environment": "id NOT IN (SELECT environment_id FROM job)",
        "role": "id NOT IN (SELECT role_id FROM environment)",
        "task_event": "task_row_id NOT IN (SELECT id FROM task)",
        "task_port": "task_row_id NOT IN (SELECT id FROM task)",
        "job_update_event": "update_row_id NOT IN (SELECT id FROM job_update)",
        "job_instance_update_event": "update_row_id NOT IN (SELECT id FROM job_update)",
        "job_update_instructions": "update_row_id NOT IN (SELECT id FROM job_update)",
        "job_update_config": "update_row_id NOT IN (SELECT id FROM job_update)",
    }
    found = {
        table: stores.connection.exec_driver_sql(
            f"SELECT count(*) FROM {table} WHERE {unused}"
        ).scalar()
        for table, unused in questions.items()
    }
    return {table: count for table, count in found.items() if count}


def _statuses(tasks: list[ScheduledTask]) -> dict[Any, set[Any]]:
    found: dict[Any, set[Any]] = {}
    for task in tasks:
        found.setdefault(task.job, set()).add(task.status)
    return found


def _usages(usages: dict[tuple[Any, ...], Counter[str]], scope: tuple[str, ...]) -> list[str]:
    return sorted(
        repr(Usage(*kind[1:], **sums)) for kind, sums in usages.items() if kind[0] == scope
    )
