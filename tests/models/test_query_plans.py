"""No query walks over a whole table: SQLite is asked how it goes about each."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from samples import JOB, S

from aurora_store.models import (
    ACTIVE_STATES,
    JobUpdateKey,
    JobUpdateQuery,
    JobUpdateStatus,
    Stores,
    TaskQuery,
)
from aurora_store.models import pruning as pruning_module
from aurora_store.models.stores import counts

RESTRICTIONS: dict[str, dict[str, Any]] = {
    "role": {"role": "www-data"},
    "environment": {"environment": "prod"},
    "job_name": {"job_name": "hello"},
    "task_ids": {"task_ids": {"a", "b"}},
    "one status": {"statuses": {S.PENDING}},
    "statuses": {"statuses": ACTIVE_STATES},
    "instances": {"instances": {0, 1}},
    "hosts": {"hosts": {"h1"}},
    "jobs": {"jobs": {JOB}},
}
SETS = [*itertools.combinations(RESTRICTIONS, 1), *itertools.combinations(RESTRICTIONS, 2)]
UPDATE_RESTRICTIONS: dict[str, dict[str, Any]] = {
    "role": {"role": "www-data"},
    "key": {"key": JobUpdateKey(JOB, "u")},
    "job": {"job": JOB},
    "user": {"user": "alice"},
    "statuses": {"statuses": {JobUpdateStatus.ROLLING_FORWARD, JobUpdateStatus.FAILED}},
}
UPDATE_SETS = [
    *itertools.combinations(UPDATE_RESTRICTIONS, 1),
    *itertools.combinations(UPDATE_RESTRICTIONS, 2),
]
# What may be walked over: the parameters, and results of our own subqueries.
_WALKED = re.compile(r"^SCAN (?!json_each|key VIRTUAL|\(subquery)(\S+)")


def plan(stores: Stores, sql: str, parameters: Any = ()) -> list[str]:
    """The steps of a statement."""
    rows = stores.connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, parameters)
    return [row[3] for row in rows]


def walked(steps: list[str]) -> list[str]:
    """Steps that go over all rows of a table or of an index."""
    return [step for step in steps if _WALKED.match(step)]


@pytest.mark.parametrize("names", SETS, ids="+".join)
@pytest.mark.parametrize("paged", [False, True], ids=["all", "page"])
def test_a_task_query_finds_its_rows_by_an_index(
    stores: Stores, names: tuple[str, ...], paged: bool
) -> None:
    restrictions: dict[str, Any] = {}
    for name in names:
        restrictions |= RESTRICTIONS[name]
    query = TaskQuery(**restrictions, limit=10 if paged else None)
    steps = plan(stores, *query.statement("task.id, agent.host", after=5 if paged else None))
    assert walked(steps) == []
    assert any(step.startswith("SEARCH task USING") for step in steps), steps


@pytest.mark.parametrize("names", UPDATE_SETS, ids="+".join)
@pytest.mark.parametrize("paged", [False, True], ids=["all", "page"])
def test_an_update_query_finds_its_rows_by_an_index(
    stores: Stores, names: tuple[str, ...], paged: bool
) -> None:
    restrictions: dict[str, Any] = {}
    for name in names:
        restrictions |= UPDATE_RESTRICTIONS[name]
    query = JobUpdateQuery(**restrictions, limit=10 if paged else None)
    steps = plan(stores, *query.statement("job_update.id", after=(5, 5) if paged else None))
    assert walked(steps) == []


def test_pages_of_one_status_are_read_in_order_without_sorting(stores: Stores) -> None:
    query = TaskQuery(statuses=frozenset({S.PENDING}), limit=10)
    steps = plan(stores, *query.statement("task.id", after=5))
    assert steps == ["SEARCH task USING INDEX ix_task_status (status=? AND rowid>?)"]


def test_pages_of_everything_begin_where_the_last_one_ended(stores: Stores) -> None:
    steps = plan(stores, *TaskQuery(limit=10).statement("task.status", after=5))
    assert steps == ["SEARCH task USING INTEGER PRIMARY KEY (rowid>?)"]


def test_all_updates_are_read_in_order_without_sorting(stores: Stores) -> None:
    steps = plan(stores, *JobUpdateQuery(limit=10).statement("job_update.id"))
    assert not any("TEMP B-TREE" in step for step in steps), steps


@pytest.mark.parametrize(
    ("level", "table"),
    [
        ("_OF_ROLE", "tally"),
        ("_OF_ENVIRONMENT", "tally"),
        ("_OF_JOB", "tally"),
        ("_OF_ROLE", "usage"),
        ("_OF_JOB", "usage"),
    ],
)
def test_counts_are_looked_up(stores: Stores, level: str, table: str) -> None:
    sql = "SELECT t.tasks " + getattr(counts, level).format(table)
    assert walked(plan(stores, sql, ("a", "b", "c")[: sql.count("?")])) == []


@pytest.mark.parametrize("name", ["_TOO_OLD_TASKS", "_TOO_OLD_UPDATES", "_TOO_MANY_UPDATES"])
def test_pruning_looks_only_at_what_ended(stores: Stores, name: str) -> None:
    sql = getattr(pruning_module, name)
    parameters = {"oldest": 1, "newest": 1, "keep": 1, "limit": 1}
    assert walked(plan(stores, sql, parameters)) == []


def test_pruning_finds_jobs_with_too_much_history_by_their_tallies(stores: Stores) -> None:
    parameters = {"newest": 1, "keep": 1, "limit": 1}
    steps = plan(stores, pruning_module._TOO_MANY_TASKS, parameters)
    assert [step.split()[1] for step in walked(steps)] == ["job_tally"]


def test_the_scopes_of_no_thing_are_refused() -> None:
    for scope in (
        TaskQuery.job_scoped,
        TaskQuery.task_scoped,
        TaskQuery.host_scoped,
        TaskQuery.status_scoped,
    ):
        with pytest.raises(ValueError, match="without one it would be every task"):
            scope()
    with pytest.raises(ValueError, match="the scope needs an instance"):
        TaskQuery.instance_scoped(JOB)


def test_a_page_needs_a_limit_and_no_offset(stores: Stores) -> None:
    for query in (TaskQuery(), TaskQuery(limit=1, offset=1)):
        with pytest.raises(ValueError, match="a limit above 0 and without an offset"):
            stores.tasks.fetch_page(query)
