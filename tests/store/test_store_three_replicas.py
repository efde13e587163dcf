"""Three replicas in three processes: replication, take-over, fencing. Real log, real kill -9."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import WorkerError
from stores import CREATE_PAIRS, Cluster, check_pairs, wait_acknowledged
from zookeeper_server import running_zookeeper


def test_a_standby_takes_over_after_kill_9_with_every_acknowledged_transaction(
    cluster: Cluster, tmp_path: Path
) -> None:
    acknowledged = tmp_path / "acknowledged"
    old, new, _ = cluster.replicas
    old.call("lead")
    old.call("script", statements=[CREATE_PAIRS])
    old.call("start_writing", writers=4, first=0, acknowledged=str(acknowledged))
    wait_acknowledged(acknowledged, 100)
    old.kill()
    new.call("lead")
    there = check_pairs(new, acknowledged)
    new.call("start_writing", writers=4, first=max(there) + 1000, acknowledged=str(acknowledged))
    wait_acknowledged(acknowledged, len(there) + 50)
    cluster.restart(0).call("catch_up")
    new.call("stop_writing")
    cluster.agree(1)
    for replica in cluster.replicas:
        check_pairs(replica, acknowledged)


def test_a_leader_that_was_stopped_is_fenced_and_says_so(cluster: Cluster, tmp_path: Path) -> None:
    acknowledged = tmp_path / "acknowledged"
    old, new, _ = cluster.replicas
    old.call("lead")
    old.call("script", statements=[CREATE_PAIRS])
    old.call("start_writing", writers=4, first=0, acknowledged=str(acknowledged))
    wait_acknowledged(acknowledged, 50)
    old.stop()
    new.call("lead")
    new.call("script", statements=["INSERT INTO pair VALUES (-1, 0), (-1, 1)"])
    old.resume()
    assert old.call("wait_not_leading") != "leading"
    wrong = old.call("stop_writing")
    assert wrong["unknown"] or wrong["errors"], "the fenced leader's writers heard nothing"
    with pytest.raises(WorkerError) as refused:
        old.call("script", statements=["INSERT INTO pair VALUES (-2, 0), (-2, 1)"])
    assert refused.value.type == "NotLeader"
    cluster.agree(1)
    there = check_pairs(old, acknowledged)
    assert -1 in there and -2 not in there


def test_schema_changes_vacuum_and_large_objects_replicate_byte_for_byte(cluster: Cluster) -> None:
    leader = cluster.replicas[0]
    leader.call("lead")
    leader.call(
        "script",
        statements=[
            "CREATE TABLE plain (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)",
            "CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
            "CREATE TRIGGER copy AFTER INSERT ON plain BEGIN "
            "INSERT INTO keyed VALUES (new.id, new.body); END",
            "CREATE VIRTUAL TABLE found USING fts5(body)",
            "INSERT INTO plain (body) VALUES ('one'), ('two')",
            "INSERT INTO found SELECT body FROM plain",
        ],
    )
    leader.call("bulk", rows=2000, size=4000, limit=120.0)
    leader.call("script", statements=["DELETE FROM bulk WHERE id % 2"])
    leader.call("vacuum", limit=120.0)
    leader.call("bulk", rows=1, size=100_000_000, limit=120.0)
    cluster.agree(0)
    standby = cluster.replicas[2]
    assert standby.call("query", statement="SELECT v FROM keyed ORDER BY k") == [["one"], ["two"]]
    assert standby.call("query", statement="PRAGMA integrity_check") == [["ok"]]
    assert standby.call("query", statement="SELECT body FROM found WHERE found MATCH 'two'") == [
        ["two"]
    ]


def test_without_a_quorum_a_commit_is_of_unknown_outcome_and_the_leader_steps_down(
    workers: ExitStack, tmp_path: Path
) -> None:
    cluster = Cluster(workers, tmp_path, append_timeout=1.0)
    leader, second, third = cluster.replicas
    leader.call("lead")
    leader.call("script", statements=["CREATE TABLE t (a)"])
    second.kill()
    third.kill()
    with pytest.raises(WorkerError) as ended:
        leader.call("script", statements=["INSERT INTO t VALUES (1)"])
    # A heartbeat may have met the silence first: then the commit was certainly not sent.
    assert ended.value.type in ("CommitOutcomeUnknown", "LeadershipLost", "NotLeader")
    assert leader.call("wait_not_leading") != "leading"
    assert leader.call("query", statement="SELECT count(*) FROM t") == [[0]]


def test_replicas_that_meet_in_zookeeper_replicate_and_take_over(
    workers: ExitStack, tmp_path: Path
) -> None:
    directory = tmp_path / "zookeeper"
    directory.mkdir()
    with running_zookeeper(directory) as zookeeper:
        cluster = Cluster(workers, tmp_path / "logs", zookeeper=zookeeper.url("/store"))
        old, new, _ = cluster.replicas
        old.call("lead")
        old.call("script", statements=["CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"])
        old.kill()
        new.call("lead")
        new.call("script", statements=["INSERT INTO t VALUES (2)"])
        cluster.restart(0).call("catch_up")
        cluster.agree(1)
        assert cluster.replicas[0].call("query", statement="SELECT a FROM t") == [[1], [2]]
