"""A log of one replica: what an application without any server has."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Worker, WorkerDied, WorkerError
from replicas import SpawnReplica


def test_entries_come_back_in_order_with_their_positions(replica: Worker) -> None:
    positions = [replica.call("append", data=f"entry {number}") for number in range(5)]
    assert replica.call("stream") == [
        [position, f"entry {number}"] for number, position in enumerate(positions)
    ]


def test_an_entry_may_be_empty_or_large(replica: Worker) -> None:
    replica.call("append", data="")
    replica.call("append", data="x" * 3_000_000)
    assert [len(data) for _, data in replica.call("stream")] == [0, 3_000_000]


def test_a_follower_sees_what_is_appended_later(replica: Worker) -> None:
    replica.call("follow", name="follower")
    replica.call("append", data="one")
    assert replica.call("next_of", name="follower") == ["one"]
    waiting = replica.start("next_of", name="follower")
    replica.call("append", data="two")
    assert waiting.result() == ["two"]


def test_cancel_ends_a_follower_that_waits(replica: Worker) -> None:
    replica.call("follow", name="follower")
    waiting = replica.start("next_of", name="follower")
    replica.call("cancel", name="follower")
    with pytest.raises(WorkerError, match="StoreClosed"):
        waiting.result()


def test_a_follower_that_hears_nothing_says_so_within_its_limit(replica: Worker) -> None:
    replica.call("follow", name="follower")
    with pytest.raises(WorkerError, match="WaitTimeout"):
        replica.call("next_of", name="follower", timeout=0.2)


def test_truncated_entries_are_gone(replica: Worker) -> None:
    last = replica.call("append_many", count=5)
    replica.call("truncate", to=last)
    assert replica.call("beginning") == last
    assert [position for position, _ in replica.call("stream")] == [last]
    with pytest.raises(WorkerError, match="LogTruncated"):
        replica.call("read", from_=1, to=last)
    with pytest.raises(WorkerError, match="LogTruncated"):
        replica.call("stream", from_=1)


def test_truncating_past_the_end_is_refused_and_loses_nothing(replica: Worker) -> None:
    last = replica.call("append_many", count=3)
    with pytest.raises(WorkerError, match=f"LogFailed.*{last}"):
        replica.call("truncate", to=100)
    assert replica.call("append", data="next") == last + 1
    assert len(replica.call("stream")) == 4


def test_reading_past_the_end_is_refused(replica: Worker) -> None:
    last = replica.call("append_many", count=3)
    with pytest.raises(WorkerError, match="LogFailed.*past end"):
        replica.call("read", from_=1, to=last + 5)


def test_writing_needs_an_election(spawn_replica: SpawnReplica, tmp_path: Path) -> None:
    worker = spawn_replica(directory=str(tmp_path / "log"))
    for function, arguments in (("append", {"data": "x"}), ("truncate", {"to": 0})):
        with pytest.raises(WorkerError, match="NotElected"):
            worker.call(function, **arguments)


def test_a_log_survives_close_and_open_in_the_same_process(replica: Worker, tmp_path: Path) -> None:
    replica.call("append", data="kept")
    replica.call("close")
    replica.call("open_log", directory=str(tmp_path / "log"))
    replica.call("elect")
    assert [data for _, data in replica.call("stream")] == ["kept"]


def test_a_log_survives_the_death_of_its_process(
    replica: Worker, spawn_replica: SpawnReplica, tmp_path: Path
) -> None:
    replica.call("append_many", count=50)
    replica.kill()
    successor = spawn_replica(directory=str(tmp_path / "log"))
    successor.call("elect")
    assert len(successor.call("stream")) == 50


def test_close_ends_calls_under_way_at_once(replica: Worker) -> None:
    replica.call("follow", name="follower")
    waiting = replica.start("next_of", name="follower")
    assert replica.call("close") < 5.0
    with pytest.raises(WorkerError, match="StoreClosed"):
        waiting.result()
    with pytest.raises(WorkerError, match="StoreClosed"):
        replica.call("append", data="x")


def test_calls_of_many_threads_are_serialised(replica: Worker) -> None:
    # libmesos would answer the second one with "currently writing" and refuse all after it.
    pending = [replica.start("append", data=f"entry {number}") for number in range(20)]
    positions = [each.result() for each in pending]
    assert len(set(positions)) == 20
    assert len(replica.call("stream")) == 20


def test_a_process_with_an_open_log_ends_cleanly(replica: Worker) -> None:
    replica.call("append", data="x")
    assert replica.finish() == 0
    assert replica.stderr() == ""


def test_a_forked_child_leaves_the_log_alone(replica: Worker) -> None:
    replica.call("follow", name="follower")
    assert replica.call("fork") == 0
    replica.call("append", data="of the parent")
    assert [data for _, data in replica.call("stream")] == ["of the parent"]


def test_a_process_that_libmesos_exits_from_says_why(replica: Worker, tmp_path: Path) -> None:
    # Opened behind the back of the checks, the same directory a second time is fatal to libmesos.
    with pytest.raises(WorkerDied, match=r"ended with 70: libmesos ended this process(?s:.*)LOCK"):
        replica.call("open_unchecked", directory=str(tmp_path / "log"))
