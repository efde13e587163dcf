"""A replica's directory reads as libmesos reads it, while its process runs and afterwards."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from directories import batch, fingerprint, make_database, spawn_log
from harness import Worker, WorkerError, free_ports

from aurora_store.errors import LogUnavailable
from aurora_store.log.files import Kind, Metadata, ReplicaDirectory, Status


def _appended(directory: Path) -> list[tuple[int, str]]:
    replica = ReplicaDirectory.read(directory)
    found = [
        (action.position, action.data.decode())
        for action in replica.entries()
        if action.kind is Kind.APPEND
    ]
    assert replica.damages == []
    return found


def test_entries_are_those_that_libmesos_reads(log: Worker, tmp_path: Path) -> None:
    log.call("append_many", count=300, size=40000)
    log.call("append", data="the last one")
    wanted = [tuple(each) for each in log.call("stream")]
    assert len(wanted) == 301
    assert any((tmp_path / "log").glob("*.ldb")), "the test needs a table"
    assert _appended(tmp_path / "log") == wanted
    log.kill()
    assert _appended(tmp_path / "log") == wanted


def test_a_closed_directory_is_not_touched(written: Path) -> None:
    before = fingerprint(written)
    replica = ReplicaDirectory.read(written)
    state = replica.state()
    assert replica.damages == []
    assert (state.begin, state.holes, state.unlearned) == (0, [], [])
    assert state.metadata.status is Status.VOTING
    assert state.end is not None and state.end > 2000
    assert fingerprint(written) == before


def test_a_range_is_what_lies_in_it(written: Path) -> None:
    replica = ReplicaDirectory.read(written)
    everything = [action.position for action in replica.entries()]
    assert everything == list(range(len(everything)))
    assert [action.position for action in replica.entries(700, 1300)] == everything[700:1301]
    assert [action.position for action in replica.entries(len(everything) - 1)] == everything[-1:]
    assert list(replica.entries(len(everything))) == []
    assert list(replica.entries(10, 9)) == []


def test_reading_while_the_replica_writes_finds_no_damage(log: Worker, tmp_path: Path) -> None:
    """Tables are written, compacted and removed all the time."""
    directory = tmp_path / "log"
    writing = log.start("append_many", count=1500, size=30000)
    ends = []
    while not ends or ends[-1] < 1500:
        replica = ReplicaDirectory.read(directory)
        positions = [action.position for action in replica.entries()]
        assert positions == list(range(len(positions)))
        assert replica.damages == []
        ends.append(positions[-1] if positions else -1)
        assert len(ends) < 10000
    writing.result()
    assert ends == sorted(ends)
    assert len(set(ends)) > 3, "the test was too slow to see the log grow"


def test_files_that_vanish_while_they_are_read_are_no_damage(log: Worker, tmp_path: Path) -> None:
    """An iteration that was begun before a compaction ends after it."""
    log.call("append_many", count=400, size=30000)
    replica = ReplicaDirectory.read(tmp_path / "log")
    entries = replica.entries()
    positions = [next(entries).position for _ in range(3)]
    before = set(os.listdir(tmp_path / "log"))
    log.kill()
    with ExitStack() as stack:  # opening compacts all of it
        spawn_log(stack, directory=str(tmp_path / "log")).call("ending")
    assert before - set(os.listdir(tmp_path / "log")), "no file was taken away"
    positions += [action.position for action in entries]
    assert positions == list(range(401))
    assert replica.damages == []


def test_refresh_shows_what_was_written_since(log: Worker, tmp_path: Path) -> None:
    log.call("append", data="one")
    replica = ReplicaDirectory.read(tmp_path / "log")
    assert not replica.refresh()
    position = log.call("append", data="two")
    assert replica.refresh()
    assert [action.data for action in replica.entries(position)] == [b"two"]


def test_a_truncated_log_begins_later(log: Worker, tmp_path: Path) -> None:
    log.call("append_many", count=20)
    log.call("truncate", to=11)
    log.call("append", data="after")
    state = ReplicaDirectory.read(tmp_path / "log").state()
    assert (state.begin, state.end, state.holes, state.unlearned) == (11, 22, [], [])
    assert state.appends == 11
    (truncation,) = ReplicaDirectory.read(tmp_path / "log").entries(21, 21)
    assert (truncation.kind, truncation.truncate_to) == (Kind.TRUNCATE, 11)


@pytest.fixture
def ensemble(workers: ExitStack, tmp_path: Path) -> list[Worker]:
    """Three replicas in directories 0, 1 and 2; the first one is elected."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    replicas = [
        spawn_log(
            workers,
            directory=str(tmp_path / str(number)),
            address=address,
            peers=addresses,
            auto_initialize=True,
        )
        for number, address in enumerate(addresses)
    ]
    for pending in [replica.start("ending") for replica in replicas]:
        pending.result()
    replicas[0].call("elect")
    return replicas


def test_what_a_replica_missed_is_a_hole(
    workers: ExitStack, ensemble: list[Worker], tmp_path: Path
) -> None:
    addresses = [worker.call("own_address") for worker in ensemble]
    ensemble[0].call("append_many", count=5)
    ensemble[2].kill()
    last = ensemble[0].call("append_many", count=10)
    ensemble[2] = spawn_log(
        workers, directory=str(tmp_path / "2"), address=addresses[2], peers=addresses
    )
    ensemble[2].call("ending")
    deadline = time.monotonic() + 30.0
    state = ReplicaDirectory.read(tmp_path / "2").state()
    while not (state.end and state.end > last):  # a link to the new process takes a moment
        ensemble[0].call("append", data="again")
        state = ReplicaDirectory.read(tmp_path / "2").state()
        assert time.monotonic() < deadline
    (hole,) = state.holes
    assert hole[0] <= last - 9 and last <= hole[1] < state.end
    assert ReplicaDirectory.read(tmp_path / "0").state().holes == []


def test_an_append_without_a_quorum_is_not_learned(ensemble: list[Worker], tmp_path: Path) -> None:
    last = ensemble[0].call("append", data="agreed")
    ensemble[1].kill()
    ensemble[2].kill()
    with pytest.raises(WorkerError, match="AppendOutcomeUnknown"):
        ensemble[0].call("append", data="perhaps", timeout=1.0)
    state = ReplicaDirectory.read(tmp_path / "0").state()
    assert (state.end, state.unlearned) == (last + 1, [(last + 1, last + 1)])
    (action,) = ReplicaDirectory.read(tmp_path / "0").entries(last + 1)
    assert (action.learned, action.data) == (False, b"perhaps")


# ---- what is no log ----


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match=f"there is no directory {tmp_path / 'x'}"):
        ReplicaDirectory.read(tmp_path / "x")


def test_a_file_is_not_a_directory(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(LogUnavailable, match="is not a directory"):
        ReplicaDirectory.read(tmp_path / "x")


def test_an_empty_directory_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="it is empty"):
        ReplicaDirectory.read(tmp_path)


def test_a_directory_of_something_else_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(LogUnavailable, match="it holds notes.txt"):
        ReplicaDirectory.read(tmp_path)


def test_the_directory_above_the_log_says_which_one_is_meant(written: Path) -> None:
    with pytest.raises(LogUnavailable) as raised:
        ReplicaDirectory.read(written.parent)
    assert raised.value.hint == f"name the directory of a replica: {written}"


def test_a_directory_without_the_right_to_read_says_who_may(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(copy))

    # root may read everything, so the system's answer is made up.
    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(LogUnavailable, match="Permission denied") as raised:
        ReplicaDirectory.read(copy)
    assert raised.value.hint is not None and "user of the replica's process" in raised.value.hint


def test_a_database_of_another_program_is_told_from_a_log(tmp_path: Path) -> None:
    make_database(tmp_path / "x", batch(1, apple=b"1", pear=b"2"))
    with pytest.raises(LogUnavailable, match=r"no log of Mesos: it begins with the key b'apple'"):
        ReplicaDirectory.read(tmp_path / "x")


def test_a_database_in_another_order_is_told_from_a_log(tmp_path: Path) -> None:
    make_database(tmp_path / "x", batch(1, apple=b"1"), comparator=b"Other")
    with pytest.raises(LogUnavailable, match="ordered by b'leveldb.OtherComparator'"):
        ReplicaDirectory.read(tmp_path / "x")


def test_a_replica_that_never_heard_of_the_log_is_empty(tmp_path: Path) -> None:
    make_database(tmp_path / "x")
    replica = ReplicaDirectory.read(tmp_path / "x")
    assert replica.metadata == Metadata(Status.EMPTY, 0)
    assert replica.state().end is None
    assert replica.damages == []


def test_a_copy_of_a_running_replicas_directory_reads_as_well(log: Worker, tmp_path: Path) -> None:
    log.call("append_many", count=50)
    shutil.copytree(tmp_path / "log", tmp_path / "copy")
    assert len(_appended(tmp_path / "copy")) == 50
