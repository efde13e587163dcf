"""What a monitoring server remembers, by a clock of the test's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from aurora_store.log import Position
from aurora_store.monitoring import history
from aurora_store.monitoring.history import History
from aurora_store.status import Latency, Status


@dataclass
class Clock:
    """Stands still until it is set."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the module reads."""
    clock = Clock()
    monkeypatch.setattr(history, "time", clock)
    return clock


def status(commits: int, position: int = 7) -> Status:
    """The part of a status that is remembered: so many commits of a millisecond each."""

    @dataclass
    class Part:
        position: Position
        append_latency: Latency
        commit_latency: Latency

    counts = [0] * (len(Latency.BOUNDS_S) + 1)
    counts[3] = commits
    latency = Latency(tuple(counts), commits / 1000)
    part: Any = Part(Position(position), latency, latency)
    return cast(Status, part)


def test_until_a_minute_has_passed_all_since_the_start_is_recent(clock: Clock) -> None:
    remembered = History(status(10))
    clock.now += 30
    recent = remembered.recent(status(25))
    assert (recent.seconds, recent.commit_latency.count) == (30, 15)
    assert recent.append_latency.total_s == pytest.approx(0.015)


def test_what_is_older_than_a_minute_is_not_recent(clock: Clock) -> None:
    remembered = History(status(0))
    for commits in range(1, 101):  # one each 5 s
        clock.now += 5
        remembered.note(status(commits))
    recent = remembered.recent(status(100))
    assert (recent.seconds, recent.commit_latency.count) == (60, 12)


def test_after_a_pause_the_last_look_before_it_is_what_counts_from(clock: Clock) -> None:
    remembered = History(status(0))
    clock.now += 5
    remembered.note(status(3))
    clock.now += 200  # a process that was stopped
    remembered.note(status(4))
    recent = remembered.recent(status(4))
    assert (recent.seconds, recent.commit_latency.count) == (200, 1)


def test_a_look_is_due_every_few_seconds(clock: Clock) -> None:
    remembered = History(status(0))
    assert not remembered.due()
    clock.now += 5
    assert remembered.due()
    remembered.note(status(0))
    assert not remembered.due()


def test_progress_is_a_position_that_moves(clock: Clock) -> None:
    remembered = History(status(0, position=7))
    clock.now += 40
    assert remembered.still_for(status(0, position=7)) == 40
    remembered.note(status(0, position=8))
    clock.now += 10
    assert remembered.still_for(status(0, position=8)) == 10
    assert remembered.still_for(status(0, position=9)) == 0
