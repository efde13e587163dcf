"""Queries that ask for what cannot be are refused when they are made, and never ask for more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from samples import JOB, S, task

from aurora_store.models import (
    JobUpdateKey,
    JobUpdateQuery,
    JobUpdateStatus,
    ScheduleStatus,
    Stores,
    TaskQuery,
)

T: Any = TaskQuery
U: Any = JobUpdateQuery


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: T.role_scoped(""), "role is a text that is not empty, not ''"),
        (lambda: T.role_scoped(None), "role is a text that is not empty, not None"),
        (lambda: T.environment_scoped("www-data", ""), "environment is a text that is not empty"),
    ],
)
def test_a_scope_without_a_name_is_not_every_task(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: T.role_scoped(JOB), "role is a text that is not empty, not JobKey"),
        (lambda: T(job_name=JOB), "TaskQuery.job_name is a text"),
        (lambda: T.job_scoped("a/b/c"), "TaskQuery.jobs is a JobKey, not 'a/b/c'"),
        (lambda: T.status_scoped("RUNNING"), "TaskQuery.statuses is a ScheduleStatus"),
        (lambda: T.status_scoped(JobUpdateStatus.ABORTED), "ScheduleStatus, not <JobUpdateStatus"),
        (lambda: T().by_status(8), "ScheduleStatus, not 8"),
        (lambda: T(statuses="RUNNING"), "TaskQuery.statuses are several, not the text 'RUNNING'"),
        (lambda: T(task_ids="t-1"), "TaskQuery.task_ids are several, not the text 't-1'"),
        (lambda: T.task_scoped(["a", "b"]), r"TaskQuery.task_ids is a text .*not \['a', 'b'\]"),
        (lambda: T.host_scoped(7), "TaskQuery.hosts is a text"),
        (lambda: T.instance_scoped(JOB, "0"), "TaskQuery.instances is an integer"),
        (lambda: T.instance_scoped(JOB, [0, 1]), "TaskQuery.instances is an integer"),
        (lambda: U(statuses={S.PENDING}), "JobUpdateQuery.statuses is a JobUpdateStatus"),
        (lambda: U(statuses="ABORTED"), "JobUpdateQuery.statuses are several"),
        (lambda: U(key="u-1"), "JobUpdateQuery.key is a JobUpdateKey, not 'u-1'"),
        (lambda: U(job=JobUpdateKey(JOB, "u-1")), "JobUpdateQuery.job is a JobKey, not"),
        (lambda: U(user=7), "JobUpdateQuery.user is a text"),
    ],
)
def test_a_restriction_of_another_kind_is_refused_by_name(
    make: Callable[[], Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_a_status_may_be_given_as_its_number(stores: Stores) -> None:
    stores.tasks.save([task("t", S.RUNNING)])
    query = T(statuses=[2])
    assert query.statuses == {ScheduleStatus.RUNNING}
    assert [each.id for each in stores.tasks.fetch_tasks(query)] == ["t"]
