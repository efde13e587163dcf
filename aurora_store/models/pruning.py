"""Forgetting what ended long ago, as operators configured it, in transactions of bounded size."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from aurora_store.models.tables.tasks import TERMINAL_NUMBERS
from aurora_store.models.values.enums import TERMINAL_UPDATE_STATES
from aurora_store.store import Store

__all__ = ["TaskHistory", "UpdateHistory", "prune", "prune_tasks", "prune_updates"]

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 24 * 60 * _MINUTE_MS

# The oldest go first. Only jobs with too many, which the tallies tell, are looked into.
_TOO_MANY_TASKS: Final = f"""DELETE FROM task WHERE id IN (
  SELECT id FROM (
    SELECT id, status_time_ms,
      row_number() OVER (PARTITION BY job_id ORDER BY status_time_ms DESC, id DESC) AS place
    FROM task INDEXED BY ix_task_history
    WHERE status IN ({TERMINAL_NUMBERS}) AND job_id IN (
      SELECT job_id FROM job_tally WHERE status IN ({TERMINAL_NUMBERS})
      GROUP BY job_id HAVING sum(tasks) > :keep))
  WHERE place > :keep AND status_time_ms <= :newest ORDER BY status_time_ms, id LIMIT :limit)"""
_TOO_OLD_TASKS: Final = f"""DELETE FROM task WHERE id IN (
  SELECT id FROM task INDEXED BY ix_task_age
  WHERE status IN ({TERMINAL_NUMBERS}) AND status_time_ms <= :oldest
  ORDER BY status_time_ms LIMIT :limit)"""

_UPDATES_ENDED: Final = ", ".join(str(int(status)) for status in sorted(TERMINAL_UPDATE_STATES))
_TOO_MANY_UPDATES: Final = f"""DELETE FROM job_update WHERE id IN (
  SELECT id FROM (
    SELECT id, modified_ms,
      row_number() OVER (PARTITION BY job_id ORDER BY modified_ms DESC, id DESC) AS place
    FROM job_update INDEXED BY ix_job_update_status_modified_ms WHERE status IN ({_UPDATES_ENDED}))
  WHERE place > :keep ORDER BY modified_ms, id LIMIT :limit)"""
_TOO_OLD_UPDATES: Final = f"""DELETE FROM job_update WHERE id IN (
  SELECT id FROM job_update INDEXED BY ix_job_update_status_modified_ms
  WHERE status IN ({_UPDATES_ENDED}) AND modified_ms <= :oldest
  ORDER BY modified_ms LIMIT :limit)"""


@dataclass(frozen=True)
class TaskHistory:
    """Which tasks that ended are kept. The defaults are Aurora's.

    Attributes:
        per_job: the newest of each job.
        max_age_ms: none that ended longer ago.
        min_retention_ms: every one that ended more recently, also above `per_job`.
    """

    per_job: int = 100
    max_age_ms: int = 2 * _DAY_MS
    min_retention_ms: int = 60 * _MINUTE_MS


@dataclass(frozen=True)
class UpdateHistory:
    """Which updates that ended are kept. The defaults are Aurora's.

    Attributes:
        per_job: the newest of each job.
        max_age_ms: none that was changed longer ago.
    """

    per_job: int = 10
    max_age_ms: int = 30 * _DAY_MS


def prune_tasks(connection: Connection, history: TaskHistory, now_ms: int, limit: int) -> int:
    """Deletes tasks that are not to be kept, at most `limit`; returns how many.

    Fewer than `limit`: there are no more.
    """
    found: int = connection.exec_driver_sql(
        _TOO_OLD_TASKS, {"oldest": now_ms - history.max_age_ms, "limit": limit}
    ).rowcount
    if found < limit:
        found += connection.exec_driver_sql(
            _TOO_MANY_TASKS,
            {
                "keep": history.per_job,
                "newest": now_ms - history.min_retention_ms,
                "limit": limit - found,
            },
        ).rowcount
    return found


def prune_updates(connection: Connection, history: UpdateHistory, now_ms: int, limit: int) -> int:
    """Deletes updates that are not to be kept, at most `limit`; returns how many."""
    found: int = connection.exec_driver_sql(
        _TOO_OLD_UPDATES, {"oldest": now_ms - history.max_age_ms, "limit": limit}
    ).rowcount
    if found < limit:
        found += connection.exec_driver_sql(
            _TOO_MANY_UPDATES, {"keep": history.per_job, "limit": limit - found}
        ).rowcount
    return found


def prune(
    store: Store,
    *,
    tasks: TaskHistory = TaskHistory(),  # noqa: B008  (frozen)
    updates: UpdateHistory = UpdateHistory(),  # noqa: B008
    batch: int = 1000,
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> tuple[int, int]:
    """Prunes until there is nothing more to prune; returns how many tasks and updates went.

    Each transaction deletes `batch` rows at most, so others wait for the write lock only as long
    as that takes. An update's events go with it, however many they are.

    Raises:
        NotLeader, LeadershipLost, CommitOutcomeUnknown, WriterBusy: of `Store.begin`; what was
        pruned so far stays pruned. The next leader goes on.
    """
    now, pruned = clock(), [0, 0]
    while True:
        with store.begin() as connection:
            found = prune_tasks(connection, tasks, now, batch)
        pruned[0] += found
        if found < batch:
            break
    while True:
        with store.begin() as connection:
            found = prune_updates(connection, updates, now, batch)
        pruned[1] += found
        if found < batch:
            return pruned[0], pruned[1]
