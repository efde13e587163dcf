"""A log of three replicas with a static set of members: elections, fencing, lost quorums."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness import WorkerError, free_ports
from replicas import Ensemble, SpawnReplica

APPEND_LIMIT = 2.0


def test_a_new_log_is_there_without_waiting_for_a_lost_message(
    spawn_replica: SpawnReplica, tmp_path: Path
) -> None:
    # libmesos repeats a lost request to recover after ten seconds; none may be lost.
    begin = time.monotonic()
    Ensemble(spawn_replica, tmp_path).workers[0].call("elect")
    assert time.monotonic() - begin < 9.0


def test_every_replica_follows_the_leader(ensemble: Ensemble) -> None:
    first, second, third = ensemble.workers
    first.call("elect")
    for follower in (second, third):
        follower.call("follow", name="follower")
    first.call("append", data="one")
    first.call("append", data="two")
    for follower in (second, third):
        assert follower.call("next_of", name="follower", count=2) == ["one", "two"]


def test_another_replica_takes_over_from_a_dead_leader(ensemble: Ensemble) -> None:
    first, second, third = ensemble.workers
    first.call("elect")
    first.call("append_many", count=20)
    first.kill()
    second.call("elect")
    assert len(second.call("stream")) == 20
    position = second.call("append", data="of the second")
    third.call("follow", name="follower", from_=position)
    assert third.call("next_of", name="follower") == ["of the second"]


def test_a_leader_that_was_killed_comes_back_as_a_follower(ensemble: Ensemble) -> None:
    first, second, _ = ensemble.workers
    first.call("elect")
    first.call("append", data="before")
    first.kill()
    second.call("elect")
    second.call("append", data="meanwhile")
    again = ensemble.start(0)
    again.call("follow", name="follower")
    second.call("append", data="after")
    assert again.call("next_of", name="follower", count=3) == ["before", "meanwhile", "after"]


def test_an_old_leader_is_fenced_and_stays_so(ensemble: Ensemble) -> None:
    first, second, _ = ensemble.workers
    first.call("elect")
    first.call("append", data="of the first")
    second.call("elect")
    # The second refusal matters: libmesos itself would append under the winner's promise.
    for _ in range(2):
        with pytest.raises(WorkerError, match="NotElected"):
            first.call("append", data="too late")
    second.call("append", data="of the second")
    assert [data for _, data in second.call("stream")] == ["of the first", "of the second"]


def test_leadership_can_be_taken_back(ensemble: Ensemble) -> None:
    first, second, _ = ensemble.workers
    for turn in range(5):
        for worker in (first, second):
            worker.call("elect")
            worker.call("append", data=f"turn {turn}")
    assert len(second.call("stream")) == 10


def test_a_leader_stopped_beyond_its_limit_is_fenced_and_sees_it(ensemble: Ensemble) -> None:
    first, second, _ = ensemble.workers
    first.call("elect")
    first.call("append", data="of the first")
    first.stop()
    second.call("elect")
    second.call("append", data="of the second")
    first.resume()
    with pytest.raises(WorkerError, match="NotElected"):
        first.call("append", data="too late", timeout=APPEND_LIMIT)
    first.call("elect")
    assert [data for _, data in first.call("stream")] == ["of the first", "of the second"]


def test_without_a_quorum_an_append_ends_within_its_limit(ensemble: Ensemble) -> None:
    first, second, third = ensemble.workers
    first.call("elect")
    first.call("append", data="agreed")
    second.kill()
    third.kill()
    begin = time.monotonic()
    with pytest.raises(WorkerError, match="AppendOutcomeUnknown"):
        first.call("append", data="who knows", timeout=APPEND_LIMIT)
    assert time.monotonic() - begin < APPEND_LIMIT + 5.0
    # The writer is dead: the next append could overtake the one whose outcome is open.
    with pytest.raises(WorkerError, match="NotElected"):
        first.call("append", data="refused")
    with pytest.raises(WorkerError, match="NoAnswer"):
        first.call("elect", timeout=APPEND_LIMIT)


def test_a_quorum_that_comes_back_settles_what_was_open(ensemble: Ensemble) -> None:
    first, second, third = ensemble.workers
    first.call("elect")
    first.call("append", data="agreed")
    second.kill()
    third.kill()
    with pytest.raises(WorkerError, match="AppendOutcomeUnknown"):
        first.call("append", data="who knows", timeout=APPEND_LIMIT)
    back = ensemble.start(1)
    first.call("elect", timeout=20.0)
    first.call("append", data="after")
    entries = [data for _, data in first.call("stream")]
    assert entries in (["agreed", "after"], ["agreed", "who knows", "after"])
    back.call("elect")
    assert [data for _, data in back.call("stream")] == entries


def test_close_ends_an_append_that_waits_for_a_quorum(ensemble: Ensemble) -> None:
    first, second, third = ensemble.workers
    first.call("elect")
    second.kill()
    third.kill()
    waiting = first.start("append", data="x", timeout=60.0)
    with pytest.raises(TimeoutError):
        waiting.result(limit=0.5)
    assert first.call("close") < 5.0
    with pytest.raises(WorkerError, match="StoreClosed"):
        waiting.result()


def test_a_replica_that_was_away_streams_what_it_missed(ensemble: Ensemble) -> None:
    first, _, third = ensemble.workers
    first.call("elect")
    first.call("append", data="seen by all")
    third.kill()
    first.call("append_many", count=30)
    third = ensemble.start(2)
    third.call("follow", name="follower")
    # What it heard of while away is a hole, which shows once something after it arrives.
    first.call("append", data="last")
    assert third.call("next_of", name="follower", count=32)[-1] == "last"


def test_a_replica_that_lost_its_disk_rejoins_the_others(
    ensemble: Ensemble, tmp_path: Path
) -> None:
    first, _, third = ensemble.workers
    first.call("elect")
    first.call("append_many", count=10)
    third.kill()
    (tmp_path / "2").rename(tmp_path / "lost")
    third = ensemble.start(2, auto_initialize=False)
    third.call("follow", name="follower")
    first.call("append", data="last")
    assert third.call("next_of", name="follower", count=11)[-1] == "last"


def test_a_new_replica_alone_says_that_it_waits_for_the_others(
    spawn_replica: SpawnReplica, tmp_path: Path
) -> None:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    worker = spawn_replica(directory=str(tmp_path / "log"), address=addresses[0], peers=addresses)
    with pytest.raises(WorkerError, match="NoAnswer.*auto_initialize"):
        worker.call("elect", timeout=0.5)
    assert worker.call("close") < 5.0
