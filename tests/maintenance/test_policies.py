"""What policies let go: never what they promise to keep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_store.maintenance.policies import HistoryPolicy, Policies, SnapshotPolicy

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Shot:
    position: int
    time: datetime


def newest_first(ages: list[int]) -> list[Shot]:
    """Snapshots of these ages in seconds."""
    return [Shot(1_000_000 - age, NOW - timedelta(seconds=age)) for age in sorted(set(ages))]


AGES = st.lists(st.integers(0, 500_000), max_size=20)
HISTORIES = st.builds(
    HistoryPolicy, st.integers(1, 5), st.timedeltas(timedelta(0), timedelta(days=4))
)


@given(AGES, HISTORIES)
def test_what_stays_is_enough_snapshots_and_enough_time(
    ages: list[int], policy: HistoryPolicy
) -> None:
    snapshots = newest_first(ages)
    kept = policy.kept(snapshots, NOW)
    if kept is not None:
        assert kept >= policy.snapshots
        assert NOW - snapshots[kept - 1].time >= policy.time


@given(AGES, HISTORIES)
def test_no_more_stays_than_has_to(ages: list[int], policy: HistoryPolicy) -> None:
    snapshots = newest_first(ages)
    kept = policy.kept(snapshots, NOW)
    fewer = len(snapshots) if kept is None else kept - 1
    for number in range(1, fewer + 1):
        enough_time = NOW - snapshots[number - 1].time >= policy.time
        assert number < policy.snapshots or not enough_time


@given(AGES, HISTORIES, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_what_may_go_once_may_go_for_ever(
    ages: list[int], policy: HistoryPolicy, later: timedelta
) -> None:
    snapshots = newest_first(ages)
    kept = policy.kept(snapshots, NOW)
    kept_later = policy.kept(snapshots, NOW + later)
    if kept is not None:
        assert kept_later is not None
        assert kept_later <= kept


def test_with_fewer_snapshots_than_wanted_all_stays() -> None:
    assert HistoryPolicy(snapshots=2).kept(newest_first([10]), NOW) is None
    assert HistoryPolicy(snapshots=2).kept([], NOW) is None


def test_time_keeps_the_last_snapshot_before_it() -> None:
    # What the database was 2 hours ago is that snapshot and the log after it.
    policy = HistoryPolicy(snapshots=1, time=2 * HOUR)
    assert policy.kept(newest_first([0, 3600, 7000, 7300, 9000]), NOW) == 4


SIZES = st.integers(0, 1 << 40)


@given(SIZES, SIZES, st.timedeltas(timedelta(0), timedelta(days=30)))
def test_a_database_that_did_not_change_gets_no_snapshot(
    log_bytes: int, database_bytes: int, age: timedelta
) -> None:
    policy = SnapshotPolicy()
    assert (
        policy.why(log_bytes=log_bytes, database_bytes=database_bytes, age=age, changed=False)
        is None
    )


@given(SIZES, SIZES, st.timedeltas(timedelta(0), timedelta(days=30)))
def test_a_snapshot_is_due_at_one_of_the_limits_and_says_which(
    log_bytes: int, database_bytes: int, age: timedelta
) -> None:
    reason = SnapshotPolicy().why(
        log_bytes=log_bytes, database_bytes=database_bytes, age=age, changed=True
    )
    grown = log_bytes >= 64 << 20 and log_bytes >= 2 * database_bytes
    if grown:
        assert reason is not None
        assert str(log_bytes) in reason
    elif age >= timedelta(hours=24):
        assert reason is not None
        assert str(age) in reason
    else:
        assert reason is None


def test_policies_that_make_no_sense_are_refused() -> None:
    for wrong in (
        lambda: HistoryPolicy(snapshots=0),
        lambda: HistoryPolicy(time=-HOUR),
        lambda: SnapshotPolicy(min_bytes=-1),
        lambda: SnapshotPolicy(times_database=-0.5),
        lambda: SnapshotPolicy(max_age=timedelta(0)),
        lambda: Policies(interval=0),
    ):
        with pytest.raises(ValueError, match="policy|interval"):
            wrong()
