"""Three replicas are upgraded to another release of the software one by one, and back, under load.

Real logs, real processes, kill -9. The later release is a copy of the package with one more
revision of the model. Every change that was acknowledged is written down outside the database, and
must be in it at the end.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from fleet import Fleet
from harness import WorkerDied, WorkerError
from package_copies import EVENTS_HEAD, MODEL_HEAD, Release, later_release, this_release

NOW = this_release()


@pytest.fixture
def fleet(workers: ExitStack, tmp_path: Path) -> Fleet:
    """Three replicas of this release. The first one leads and writes."""
    fleet = Fleet(workers, tmp_path / "fleet", NOW)
    fleet.lead(0)
    return fleet


@pytest.fixture
def compatible(tmp_path: Path) -> Release:
    """This release can go on with what it makes of the tables."""
    return later_release(tmp_path / "later", compatible=True)


@pytest.fixture
def incompatible(tmp_path: Path) -> Release:
    """It rebuilds the table of the tasks, and gives a column another name."""
    return later_release(tmp_path / "later", compatible=False)


def check_both_releases_led(fleet: Fleet, later: Release) -> None:
    """The log tells who led, with which software, and what schema that knew."""
    told = {(each.software, frozenset(each.schema.split(", "))) for each in fleet.leaders()}
    assert told == {
        (f"aurora-store {release.version}", frozenset({EVENTS_HEAD, "farm_0001", model}))
        for release, model in ((NOW, MODEL_HEAD), (later, "model_9001"))
    }


def test_a_compatible_release_and_this_one_lead_in_turns(fleet: Fleet, compatible: Release) -> None:
    fleet.replace(2, compatible)
    fleet.refused(2, "contents", "lacks model_9001")
    fleet.lead(2)
    assert fleet.replicas[2].call("zones"), "nothing was filled in"
    fleet.follow(2)
    for number in (0, 1):
        assert fleet.replicas[number].call("standing") == "ahead"
        assert fleet.replicas[number].call("contents")["tasks"]
    fleet.replicas[2].kill()
    fleet.lead(1)
    fleet.start(2, compatible)
    fleet.replace(0, compatible)
    fleet.lead(2)
    fleet.replace(1, compatible)
    fleet.check(2)
    # And back.
    fleet.load(2)
    fleet.replace(0, NOW)
    fleet.replace(1, NOW)
    assert fleet.replicas[2].call("downgrade", to=MODEL_HEAD) == ["model_9001"]
    fleet.refused(2, "lead", "undone by")
    fleet.lead(0)
    fleet.replace(2, NOW)
    assert fleet.replicas[2].call("standing") == "current"
    fleet.check(0)
    fleet.check_schema_is_that_of_this_release(0, 1, 2)
    check_both_releases_led(fleet, compatible)


def test_this_release_only_follows_what_is_not_compatible_until_it_is_undone(
    fleet: Fleet, incompatible: Release
) -> None:
    fleet.replace(2, incompatible)
    fleet.lead(2)
    epoch = fleet.replicas[2].call("status")["epoch"]
    for number in (0, 1):
        fleet.refused(number, "contents", "does not know it")
        fleet.refused(number, "lead", "does not know it")
    before = [fleet.replicas[number].call("status")["position"] for number in (0, 1)]
    fleet.wait_for_changes()
    fleet.follow(2)
    after = [fleet.replicas[number].call("status")["position"] for number in (0, 1)]
    assert all(new > old for new, old in zip(after, before, strict=True))
    leading = fleet.replicas[2].call("status")
    assert (leading["state"], leading["epoch"]) == ("leading", epoch), "somebody deposed it"
    fleet.replace(1, incompatible)
    assert fleet.replicas[2].call("downgrade", to=MODEL_HEAD) == ["model_9001"]
    assert fleet.replicas[2].call("status")["state"] != "leading"
    fleet.lead(0)
    fleet.follow(0)
    for number in (1, 2):
        fleet.refused(number, "contents", "undone by")
        fleet.refused(number, "lead", "undone by")
    # Once more, now for good.
    assert fleet.replicas[0].call("release") == ["model_9001"]
    fleet.follow(0)
    fleet.lead(1)
    fleet.replace(0, incompatible)
    fleet.check(1)
    # And all at once back, by those who do not know what they undo.
    fleet.load(1)
    for replica in fleet.replicas:
        replica.kill()
    fleet.start_all(NOW)
    for number in range(3):
        fleet.refused(number, "lead", "does not know it")
        fleet.refused(number, "contents", "does not know it")
    undone = fleet.replicas[1].call("downgrade", to=MODEL_HEAD, lead=True)
    assert undone == ["model_9001"]
    fleet.load(1)
    fleet.check(1)
    fleet.check_schema_is_that_of_this_release(0, 1, 2)
    check_both_releases_led(fleet, incompatible)


def test_a_leader_killed_while_it_migrates_has_done_all_of_it_or_nothing(
    fleet: Fleet, incompatible: Release
) -> None:
    fleet.fill(0, count=3000)
    fleet.replicas[0].call("stop_load")
    leader = fleet.replace(2, incompatible)
    begin = time.monotonic()
    leader.call("lead")
    took = time.monotonic() - begin
    fleet.replicas[2].kill()
    assert took_over(fleet) == "after"
    for share in (0.4, 0.7, 0.9, 1.0, 1.2):
        fleet.replicas[0].call("release")  # what was undone, if it was
        leading = fleet.start(2, incompatible).start("lead")
        time.sleep(share * took)  # when the process dies is what is tried out
        fleet.replicas[2].kill()
        found = took_over(fleet)
        with suppress(WorkerDied):
            leading.result()
            assert found == "after", "a migration that was acknowledged is lost"
    fleet.start(2, NOW)
    fleet.check(0)


def took_over(fleet: Fleet) -> str:
    """Has this release lead; returns whether it found the database before or after a migration."""
    old = fleet.replicas[0]
    try:
        old.call("lead")
        found = "before"
    except WorkerError as error:
        assert error.type == "SchemaMismatch", error.trace
        assert old.call("downgrade", to=MODEL_HEAD, lead=True) == ["model_9001"]
        found = "after"
    fleet.check_schema_is_that_of_this_release(0)
    return found
