"""Snapshots in the real log: taken beside transactions, verified, truncated to, started from.

With one and with three replicas, each in a process of its own, and kill -9 in the middle.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Worker, WorkerError
from stores import CREATE_PAIRS, Cluster, check_pairs, spawn_store, wait_acknowledged

_LIMIT = 120.0  # seconds: a snapshot takes what the disk takes


def _refused(worker: Worker, function: str, **arguments: object) -> str:
    with pytest.raises(WorkerError) as refused:
        worker.call(function, **arguments)
    return f"{refused.value.type}: {refused.value.message}"


def _wait_until(replica: Worker, **wanted: object) -> dict[str, object]:
    """Waits until the replica's snapshots are so; a number may be larger."""
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        now: dict[str, object] = replica.call("snapshot_status")
        if all(
            now[key] >= value if isinstance(value, int) else now[key] == value  # type: ignore[operator]
            for key, value in wanted.items()
        ):
            return now
        time.sleep(0.005)
    raise TimeoutError(f"not {wanted} within {_LIMIT:g} s: {now}")


def test_a_replica_starts_from_its_snapshot_after_the_log_was_truncated_to_it(
    leader: Worker, workers: ExitStack, tmp_path: Path
) -> None:
    assert leader.call("snapshots") == []
    leader.call("bulk", rows=1000, size=3000)
    first = leader.call("snapshot", limit=_LIMIT)
    leader.call("script", statements=["DELETE FROM bulk WHERE id > 500", "CREATE TABLE t (a)"])
    second = leader.call("snapshot", limit=_LIMIT)
    leader.call("script", statements=["INSERT INTO t VALUES (42)"])
    assert leader.call("snapshots") == [second, first]
    proved = leader.call("verify_snapshot", position=first)
    assert first < proved["end"] < second
    assert proved["bytes"] > 1000 * 3000

    leader.call("truncate", to=second)
    assert leader.call("log_beginning") == second
    assert leader.call("snapshots") == [second]
    before = leader.call("status")
    leader.call("close")
    leader.kill()

    again = spawn_store(workers, directory=str(tmp_path / "log"))
    again.call("catch_up")
    after = again.call("status")
    assert (after["version"], after["checksum"]) == (before["version"], before["checksum"])
    assert again.call("snapshot_status")["started_from"] == second
    assert f"started from the snapshot at position {second}" in after["reason"]
    again.call("lead")
    assert again.call("query", statement="SELECT a, (SELECT count(*) FROM bulk) FROM t") == [
        [42, 500]
    ]
    assert again.call("query", statement="PRAGMA integrity_check") == [["ok"]]


def test_what_cannot_be_done_is_refused_and_touches_nothing(leader: Worker) -> None:
    leader.call("script", statements=["CREATE TABLE t (a)"])
    assert "no complete snapshot" in _refused(leader, "truncate", to=2)
    position = leader.call("snapshot", limit=_LIMIT)
    assert "TruncationRefused" in _refused(leader, "truncate", to=position + 1)
    assert "NoSuchSnapshot" in _refused(leader, "verify_snapshot", position=position + 1)
    assert "NoSuchSnapshot" in _refused(leader, "verify_snapshot", position=position + 1000)
    leader.call("truncate", to=position)
    assert "LogTruncated" in _refused(leader, "verify_snapshot", position=position - 1)
    leader.call("step_down")
    assert "NotLeader" in _refused(leader, "snapshot")
    assert "NotLeader" in _refused(leader, "truncate", to=position)
    assert leader.call("log_beginning") == position


def test_commits_go_on_beside_a_snapshot_and_all_replicas_stay_equal(
    cluster: Cluster, tmp_path: Path
) -> None:
    acknowledged = tmp_path / "acknowledged"
    leader, standby, third = cluster.replicas
    leader.call("lead")
    leader.call("script", statements=[CREATE_PAIRS])
    leader.call("bulk", rows=3000, size=3000)
    assert "NotLeader" in _refused(standby, "snapshot")
    leader.call("start_writing", writers=4, first=0, acknowledged=str(acknowledged))
    before = wait_acknowledged(acknowledged, 20)
    position = leader.call("snapshot", limit=_LIMIT)
    assert wait_acknowledged(acknowledged, before) > before
    assert not leader.call("stop_writing")["errors"]
    cluster.agree(0)
    for replica in cluster.replicas:
        check_pairs(replica, acknowledged)
        assert replica.call("snapshots") == [position]
        replica.call("verify_snapshot", position=position)


def test_a_wiped_replica_and_one_that_was_away_too_long_rejoin_by_themselves(
    cluster: Cluster, tmp_path: Path
) -> None:
    leader, wiped, away = cluster.replicas
    leader.call("lead")
    leader.call("bulk", rows=500, size=3000)
    cluster.agree(0)
    away.kill()
    for _ in range(30):
        leader.call("script", statements=["UPDATE bulk SET b = randomblob(100) WHERE id < 50"])
    position = leader.call("snapshot", limit=_LIMIT)
    leader.call("truncate", to=position)
    leader.call("script", statements=["CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"])

    away = cluster.restart(2)
    reached = leader.call("status")["position"]
    away.call("wait_for", position=reached)
    _wait_until(away, started_from=position)
    # Whether it was away for too long it may have been told before it read anything, or after.
    assert f"started from the snapshot at position {position}" in away.call("status")["reason"]
    assert away.call("log_beginning") == position
    cluster.agree(0)

    wiped.kill()
    shutil.rmtree(cluster.directory / "1")
    wiped = cluster.restart(1)
    wiped.call("catch_up")
    assert wiped.call("snapshot_status")["started_from"] == position
    assert f"started from the snapshot at position {position}" in wiped.call("status")["reason"]
    cluster.agree(0)

    # Both are as good as any other: they are a quorum, and one of them leads.
    leader.kill()
    wiped.call("lead")
    wiped.call("script", statements=["INSERT INTO t VALUES (2)"])
    away.call("wait_for", position=wiped.call("status")["position"])
    assert away.call("query", statement="SELECT a FROM t") == [[1], [2]]


def test_the_next_leader_goes_on_with_the_snapshot_of_one_that_was_killed(
    cluster: Cluster, tmp_path: Path
) -> None:
    old, new, third = cluster.replicas
    old.call("lead")
    old.call("bulk", rows=2000, size=4000)
    old.call("start_snapshot")
    under_way = _wait_until(old, chunks=10)
    assert under_way["position"] == 0, "the snapshot was complete before the leader was killed"
    position = under_way["writing"]
    old.kill()
    new.call("lead")
    _wait_until(new, position=position)
    assert new.call("snapshots") == [position]
    new.call("verify_snapshot", position=position)
    new.call("truncate", to=position)
    cluster.restart(0).call("catch_up")
    new.call("script", statements=["CREATE TABLE t (a)"])
    cluster.agree(1)
    for replica in (third, cluster.replicas[0]):
        assert replica.call("snapshots") == [position]
