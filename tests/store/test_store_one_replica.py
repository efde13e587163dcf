"""A store of one replica, on the real log."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Worker, WorkerError
from stores import spawn_store


def test_a_new_store_is_an_empty_standby_until_it_leads(workers: ExitStack, tmp_path: Path) -> None:
    worker = spawn_store(workers, directory=str(tmp_path / "log"))
    worker.call("catch_up")
    assert worker.call("status")["state"] == "standby"
    assert worker.call("query", statement="SELECT count(*) FROM sqlite_master") == [[0]]
    with pytest.raises(WorkerError) as refused:
        worker.call("script", statements=["CREATE TABLE t (a)"])
    assert refused.value.type == "NotLeader"


def test_what_was_committed_is_there_after_kill_and_restart(
    leader: Worker, workers: ExitStack, tmp_path: Path
) -> None:
    leader.call("script", statements=["CREATE TABLE t (a)", "INSERT INTO t VALUES (42)"])
    before = leader.call("status")
    leader.kill()
    again = spawn_store(workers, directory=str(tmp_path / "log"))
    again.call("catch_up")
    # The newest entry of a log without a leader may be undecided until somebody leads.
    again.call("lead")
    assert again.call("query", statement="SELECT a FROM t") == [[42]]
    after = again.call("status")
    assert (after["version"], after["checksum"]) == (before["version"], before["checksum"])
    assert after["epoch"] == before["epoch"] + 1


def test_a_second_process_on_the_directory_is_refused_and_harms_nothing(
    leader: Worker, workers: ExitStack, tmp_path: Path
) -> None:
    with pytest.raises(WorkerError) as refused:
        spawn_store(workers, directory=str(tmp_path / "log"))
    assert refused.value.type == "LogInUse"
    leader.call("script", statements=["CREATE TABLE t (a)"])


def test_stepping_down_makes_a_standby_that_can_lead_again(leader: Worker) -> None:
    leader.call("script", statements=["CREATE TABLE t (a)"])
    leader.call("step_down")
    assert leader.call("status")["state"] == "standby"
    with pytest.raises(WorkerError) as refused:
        leader.call("script", statements=["INSERT INTO t VALUES (1)"])
    assert refused.value.type == "NotLeader"
    leader.call("lead")
    leader.call("script", statements=["INSERT INTO t VALUES (1)"])


def test_closing_ends_a_wait_at_once(leader: Worker) -> None:
    waiting = leader.start("wait_for", position=1 << 30, timeout=60.0)
    leader.call("close", limit=10.0)
    with pytest.raises(WorkerError) as ended:
        waiting.result(limit=10.0)
    assert ended.value.type == "StoreClosed"
