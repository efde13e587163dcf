"""A restore on three replicas of the real log: followed by all, and whole after kill -9."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from stores import Cluster

from aurora_store.control import ask
from aurora_store.errors import StoreError

COUNT = "SELECT (SELECT count(*) FROM bulk), (SELECT count(*) FROM mark)"
BEFORE, AFTER = [[5000, 0]], [[10, 1]]


@pytest.fixture
def garbled(workers: ExitStack, tmp_path: Path) -> Cluster:
    """Most of the rows that are in the backup ``b.db`` are gone, and others there."""
    cluster = Cluster(workers, tmp_path, append_timeout=3.0)
    leader = cluster.replicas[0]
    leader.call("lead")
    leader.call("bulk", rows=5000, size=4000, limit=120.0)
    leader.call("script", statements=["CREATE TABLE mark (a)"])
    ask(tmp_path / "0", "backup", {"path": str(tmp_path / "b.db")})
    leader.call(
        "script", statements=["DELETE FROM bulk WHERE id > 10", "INSERT INTO mark VALUES (1)"]
    )
    return cluster


def test_every_replica_follows_a_restore(garbled: Cluster, tmp_path: Path) -> None:
    arguments = {"path": str(tmp_path / "b.db"), "force": True}
    ask(tmp_path / "0", "recovery commit", arguments)
    garbled.agree(0)
    for replica in garbled.replicas:
        assert replica.call("query", statement=COUNT) == BEFORE


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2])
def test_a_leader_killed_in_the_middle_leaves_all_of_it_or_nothing(
    garbled: Cluster, tmp_path: Path, after_s: float
) -> None:
    begun = threading.Event()

    def commit() -> None:
        arguments = {"path": str(tmp_path / "b.db"), "force": True}
        with suppress(StoreError):  # the store was killed
            ask(tmp_path / "0", "recovery commit", arguments, progress=lambda *_: begun.set())

    thread = threading.Thread(target=commit)
    thread.start()
    assert begun.wait(30)
    time.sleep(after_s)
    garbled.replicas[0].kill()
    thread.join(30)
    assert not thread.is_alive(), "the command hangs when the store was killed"
    garbled.replicas[1].call("lead")
    found = garbled.replicas[1].call("query", statement=COUNT)
    assert found in (BEFORE, AFTER)
    garbled.restart(0).call("catch_up")
    garbled.agree(1)
    for replica in garbled.replicas:
        assert replica.call("query", statement=COUNT) == found
        assert replica.call("query", statement="PRAGMA integrity_check") == [["ok"]]
