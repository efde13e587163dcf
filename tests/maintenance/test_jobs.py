"""A job that fails is tried again after a growing pause, is seen to fail, and ends nothing."""

from __future__ import annotations

import logging

import pytest

from aurora_store.errors import NotLeader
from aurora_store.maintenance.jobs import Job, JobStatus


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Step:
    """Fails while `broken`."""

    def __init__(self) -> None:
        self.taken = 0
        self.broken: Exception | None = None
        self.answer: str | None = "did it"

    def __call__(self) -> str | None:
        self.taken += 1
        if self.broken is not None:
            raise self.broken
        return self.answer


def test_a_job_counts_what_it_did_and_not_that_nothing_was_due() -> None:
    step = Step()
    job = Job("snapshot", step, clock=Clock())
    job.tick()
    step.answer = None
    job.tick()
    assert step.taken == 2
    assert job.status == JobStatus("snapshot", done=1)


def test_a_failure_is_logged_and_shown_until_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, step = Clock(), Step()
    job = Job("snapshot", step, clock=clock)
    step.broken = OSError("the disk is full")
    job.tick()
    assert job.status == JobStatus("snapshot", 0, 1, 1, "the disk is full")
    assert "snapshot failed, and is tried again in 5 s: the disk is full" in caplog.text
    step.broken, clock.now = None, 5.0
    job.tick()
    assert job.status == JobStatus("snapshot", 1, 1, 0, "")
    assert "works again after 1 failures" in caplog.text


def test_the_pause_grows_to_a_quarter_of_an_hour() -> None:
    clock, step = Clock(), Step()
    step.broken = RuntimeError("no")
    job = Job("backup", step, clock=clock)
    times = []
    for second in range(7200):
        clock.now = float(second)
        before = step.taken
        job.tick()
        if step.taken > before:
            times.append(second)
    pauses = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert pauses[:4] == [5, 10, 20, 40]
    assert max(pauses) == pauses[-1] == 900


def test_a_lost_lead_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    step = Step()
    step.broken = NotLeader("another one leads")
    job = Job("snapshot", step, clock=Clock())
    with caplog.at_level(logging.WARNING):
        job.tick()
        job.tick()
    assert step.taken == 2
    assert job.status.failures == 0
    assert caplog.text == ""
