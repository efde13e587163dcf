"""Candidates whose software is of several releases: who stands, who does not, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from release_stores import Releases, add, caught_up, standing, workers_of
from revision_files import BROKEN, FIRST, RACKS, ZONES

from aurora_store import Store
from aurora_store.election import Candidate, HeartbeatElection, Member
from aurora_store.framework import Framework, FrameworkState, Scheduler
from aurora_store.migrations import Standing
from aurora_store.status import State

LIMIT_S = 30.0
Stand = Callable[[Store], Candidate]


def wait(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, f"not within {LIMIT_S:g} s: {what}"
        time.sleep(0.01)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def election_of(store: Store) -> HeartbeatElection:
    return HeartbeatElection(store, member=Member(store.host, store.host))


@pytest.fixture
def stand(stack: ExitStack) -> Stand:
    """Lets a store stand."""
    return lambda store: stack.enter_context(Candidate(store, election_of(store)))


def test_an_older_candidate_does_not_stand_for_what_it_cannot_read_and_says_why(
    releases: Releases, stand: Stand
) -> None:
    new = releases.open(FIRST, ZONES, RACKS)
    leader = stand(new)
    leader.wait_leading(timeout=LIMIT_S)
    old = caught_up(releases.open(FIRST), new)
    candidate = stand(old)
    wait(lambda: "farm_0003" in candidate.status.unfit, "it says why it is unfit")
    assert "this software does not know it" in candidate.status.unfit
    leader.close()
    newest = caught_up(releases.open(FIRST, ZONES, RACKS), new)
    stand(newest).wait_leading(timeout=LIMIT_S)
    assert candidate.status.reigns == 0 and "farm_0003" in candidate.status.unfit


def test_after_a_downgrade_by_whoever_is_left_the_candidates_elect_as_ever(
    releases: Releases, stand: Stand
) -> None:
    new = releases.open(FIRST, ZONES, RACKS)
    leader = stand(new)
    leader.wait_leading(timeout=LIMIT_S)
    add(new, "a")
    stores = [caught_up(releases.open(FIRST), new) for _ in range(2)]
    candidates = [stand(store) for store in stores]
    for candidate in candidates:
        wait(lambda candidate=candidate: candidate.status.unfit != "", "it is unfit")
    leader.close()
    new.close()
    undone = stores[0].downgrade("farm_0001", lead=True)
    assert [each.revision for each in undone] == ["farm_0003", "farm_0002"]

    def one_leads() -> bool:
        return [each.status.reigns for each in candidates].count(1) == 1

    wait(one_leads, "one of them is elected")
    leading = stores[0] if candidates[0].status.reigns else stores[1]
    assert standing(leading) is Standing.CURRENT
    assert workers_of(leading) == ["a"]
    add(leading, "b")


def test_a_leader_that_undoes_what_it_needs_leaves_it_to_the_older_candidate(
    releases: Releases, stand: Stand
) -> None:
    new = releases.open(FIRST, ZONES, RACKS)
    newer = stand(new)
    newer.wait_leading(timeout=LIMIT_S)
    older = stand(caught_up(releases.open(FIRST), new))
    new.downgrade("farm_0001")
    older.wait_leading(timeout=LIMIT_S)
    wait(lambda: "farm_0002" in newer.status.unfit, "the newer one does not stand")
    older.store.upgrade()
    wait(lambda: newer.status.unfit == "", "it stands once that was released")
    older.close()
    wait(lambda: newer.status.reigns == 2, "it leads, and applies it again")
    assert standing(new) is Standing.CURRENT


def test_a_candidate_whose_migration_failed_does_not_try_again_and_an_older_one_takes_over(
    releases: Releases, stand: Stand
) -> None:
    old = releases.open(FIRST)
    old.lead()
    add(old, "not a number")
    new = caught_up(releases.open(FIRST, BROKEN), old)
    old.step_down()
    broken = stand(new)
    wait(lambda: "farm_0002" in broken.status.unfit, "it says what failed")
    assert "CHECK constraint failed" in broken.status.unfit
    epoch = new.status().epoch
    good = stand(old)
    good.wait_leading(timeout=LIMIT_S)
    assert old.status().epoch == epoch + 1, "nobody led between: it was tried once"
    assert broken.status.reigns == 0
    assert workers_of(old) == ["not a number"]
    add(old, "goes on")


def test_a_failure_is_forgotten_once_another_replica_has_migrated(releases: Releases) -> None:
    old = releases.open(FIRST)
    old.lead()
    add(old, "not a number")
    new = caught_up(releases.open(FIRST, BROKEN), old)
    with pytest.raises(Exception, match="farm_0002"):
        new.lead()
    caught_up(old, new).lead()
    with old.begin() as connection:
        connection.exec_driver_sql("DELETE FROM worker")
    other = caught_up(releases.open(FIRST, BROKEN), old)
    other.lead()
    assert caught_up(new, other).unfit() == ""


def test_a_framework_of_older_software_says_why_it_is_no_more_than_a_standby(
    releases: Releases, stack: ExitStack
) -> None:
    new = releases.open(FIRST, ZONES, RACKS)
    new.lead()
    old = caught_up(releases.open(FIRST), new)
    framework = stack.enter_context(
        Framework(
            old,
            election_of(old),
            Scheduler(),
            info={"name": "farm", "user": "nobody"},
            master="127.0.0.1:1",
        )
    )
    new.close()
    wait(lambda: "farm_0003" in framework.status.unfit, "it says why")
    assert framework.status.state is FrameworkState.STANDBY
    assert old.status().state is State.STANDBY
