"""The disk space of truncated entries comes back while the log is used, and nothing else is lost.

libmesos alone keeps it until the replica is restarted.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from harness import Worker, WorkerError
from replicas import Ensemble, SpawnReplica

from aurora_store.libmesos.elf import inspect
from aurora_store.libmesos.stubs import STUB_NAME
from aurora_store.libmesos.symbols import compaction_symbols

MIB = 1 << 20


def fill_and_truncate(worker: Worker, *, entries: int) -> int:
    """Appends entries of 256 KiB, and forgets all but the last. Returns its position."""
    last: int = worker.call("append_many", count=entries, size=MIB // 4, limit=120.0)
    worker.call("truncate", to=last)
    return last


def test_a_truncation_alone_frees_nothing_and_a_compaction_does(replica: Worker) -> None:
    last = fill_and_truncate(replica, entries=160)
    assert replica.call("disk_usage") > 40 * MIB
    assert replica.call("compact") == last
    assert replica.call("disk_usage") < 8 * MIB


def test_appends_go_on_during_a_compaction_and_nothing_is_lost(
    replica: Worker, spawn_replica: SpawnReplica, tmp_path: Path
) -> None:
    last = fill_and_truncate(replica, entries=400)
    compaction = replica.start("compact")
    appends = [replica.start("append", data=f"entry {number}") for number in range(200)]
    positions = [append.result() for append in appends]
    assert compaction.result() == last
    replica.kill()
    successor = spawn_replica(directory=str(tmp_path / "log"))
    successor.call("elect")
    assert successor.call("beginning") == last
    found = dict(successor.call("stream"))
    assert [found[position] for position in positions] == [f"entry {n}" for n in range(200)]
    assert len(found[last]) == MIB // 4


@pytest.mark.parametrize("pause", [0.0, 0.02, 0.1, 0.3])
def test_a_process_killed_while_it_compacts_loses_nothing(
    replica: Worker, spawn_replica: SpawnReplica, tmp_path: Path, pause: float
) -> None:
    last = fill_and_truncate(replica, entries=240)
    kept = replica.call("append_many", count=50)
    replica.start("compact")
    time.sleep(pause)
    replica.kill()
    successor = spawn_replica(directory=str(tmp_path / "log"))
    assert successor.call("elect") >= kept
    assert successor.call("beginning") == last
    assert len(successor.call("stream")) == 51
    assert successor.call("disk_usage") < 8 * MIB


def test_closing_ends_a_compaction_and_the_log_can_be_opened_again(
    replica: Worker, tmp_path: Path
) -> None:
    last = fill_and_truncate(replica, entries=400)
    compaction = replica.start("compact")
    with pytest.raises(WorkerError, match="NoAnswer"):
        replica.call("compact", timeout=0.05)
    assert replica.call("close") < 3.0
    with pytest.raises(WorkerError, match="StoreClosed"):
        compaction.result()
    replica.call("open_log", directory=str(tmp_path / "log"))
    replica.call("elect")
    assert replica.call("beginning") == last
    assert replica.call("compact") == last


def test_nothing_to_compact_is_no_error(replica: Worker) -> None:
    assert replica.call("compact") == 0
    last = replica.call("append_many", count=3)
    replica.call("truncate", to=last)
    assert replica.call("compact") == last
    assert replica.call("compact") == last
    assert len(replica.call("stream")) == 1


def test_each_replica_compacts_its_own_directory(ensemble: Ensemble) -> None:
    leader, *followers = ensemble.workers
    leader.call("elect")
    last = fill_and_truncate(leader, entries=160)
    for follower in followers:  # the truncation reaches them with the next entry at the latest
        leader.call("append", data="after it")
        follower.call("catchup")
        assert follower.call("beginning") == last
        assert follower.call("disk_usage") > 40 * MIB
        assert follower.call("compact") == last
        assert follower.call("disk_usage") < 8 * MIB
    assert leader.call("disk_usage") > 40 * MIB
    leader.call("compact")
    assert leader.call("disk_usage") < 8 * MIB


def test_a_library_that_does_not_show_its_database_says_what_to_do(
    libmesos_path: Path, spawn_replica: SpawnReplica, tmp_path: Path
) -> None:
    library = tmp_path / "libmesos.so"
    content = libmesos_path.read_bytes()
    hidden = compaction_symbols()["sizes"].encode()
    library.write_bytes(content.replace(hidden, hidden.replace(b"Approximate", b"Appropriate")))
    shutil.copy(libmesos_path.with_name(STUB_NAME), tmp_path)
    assert not inspect(library).compacts
    worker = spawn_replica(directory=str(tmp_path / "log"), libmesos=str(library))
    worker.call("elect")
    assert not worker.call("can_compact")
    with pytest.raises(WorkerError, match=r"CannotCompact.*restart the replica"):
        worker.call("compact")
    last = fill_and_truncate(worker, entries=160)
    worker.call("close")
    worker.call("open_log", directory=str(tmp_path / "log"), libmesos=str(library))
    assert worker.call("beginning") == last
    assert worker.call("disk_usage") < 8 * MIB
