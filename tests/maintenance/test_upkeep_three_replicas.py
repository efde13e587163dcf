"""By policy, snapshots let the log's beginning go, and the disk of every replica shrinks."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from upkept import MIB, Upkept, wait_until

Make = Callable[..., Upkept]


def test_snapshots_and_truncation_by_policy_keep_every_disk_in_bounds(upkept: Make) -> None:
    cluster = upkept(snapshot_bytes=4 * MIB, snapshots=2)
    leader = cluster.replicas[0]
    for _ in range(10):
        leader.call("overwrite", times=32, kilobytes=128, limit=120.0)
    written = 10 * 32 * MIB // 8
    wait_until(leader, lambda found: found["jobs"]["truncation"]["done"] >= 2)
    for replica in cluster.replicas:
        found = wait_until(
            replica,
            lambda found: (
                found["jobs"]["compaction"]["done"] >= 1 and found["disk_bytes"] < written
            ),
        )
        # libmesos stores each entry twice: without compaction it would be more than that.
        assert found["log_beginning"] > 0
        assert [job["failures"] for job in found["jobs"].values()] == [0] * 5
    cluster.agree(leader=0)


def test_a_standby_that_was_away_longer_than_the_log_remembers_catches_up_by_itself(
    upkept: Make,
) -> None:
    cluster = upkept(snapshot_bytes=None, snapshots=None)
    leader = cluster.replicas[0]
    leader.call("overwrite", times=4, kilobytes=64)
    cluster.agree(leader=0)
    cluster.replicas[2].kill()
    leader.call("overwrite", times=40, kilobytes=64)
    leader.call("snapshot", limit=120.0)
    assert leader.call("truncate", snapshots=1, limit=120.0)["positions"] > 40
    leader.call("overwrite", times=4, kilobytes=64)
    cluster.restart(2).call("catch_up", timeout=120.0, limit=150.0)
    cluster.agree(leader=0)


def test_a_replica_whose_directory_was_wiped_rejoins_and_says_so(upkept: Make) -> None:
    cluster = upkept(snapshot_bytes=None, snapshots=None)
    leader = cluster.replicas[0]
    leader.call("overwrite", times=40, kilobytes=64)
    leader.call("snapshot", limit=120.0)
    leader.call("truncate", snapshots=1, limit=120.0)
    cluster.replicas[2].kill()
    shutil.rmtree(cluster.directory / "2")
    wiped = cluster.restart(2)
    leader.call("overwrite", times=4, kilobytes=64)
    wiped.call("catch_up", timeout=120.0, limit=150.0)
    cluster.agree(leader=0)
    assert "snapshot" in wiped.call("upkeep")["reason"]


def test_truncating_lets_nothing_go_that_a_start_needs(upkept: Make) -> None:
    cluster = upkept(snapshot_bytes=None, snapshots=None)
    leader = cluster.replicas[0]
    leader.call("script", statements=["CREATE TABLE kept (n INTEGER)"])
    for number in range(3):
        leader.call("script", statements=[f"INSERT INTO kept VALUES ({number})"])
        leader.call("snapshot", limit=120.0)
    plan = leader.call("truncate", snapshots=2, limit=120.0)
    assert plan["positions"] > 0
    for number in (1, 2):
        cluster.replicas[number].kill()
        cluster.restart(number).call("catch_up", timeout=120.0, limit=150.0)
    assert cluster.replicas[1].call("query", statement="SELECT n FROM kept") == [[0], [1], [2]]
    cluster.agree(leader=0)


def test_a_new_leader_goes_on_with_the_upkeep(upkept: Make) -> None:
    cluster = upkept(snapshot_bytes=4 * MIB, snapshots=1)
    cluster.replicas[0].call("overwrite", times=40, kilobytes=128, limit=120.0)
    cluster.replicas[0].kill()
    second = cluster.replicas[1]
    second.call("lead")
    for _ in range(3):
        second.call("overwrite", times=40, kilobytes=128, limit=120.0)
    wait_until(second, lambda found: found["jobs"]["truncation"]["done"] >= 1)
    cluster.restart(0).call("catch_up", timeout=120.0, limit=150.0)
    cluster.agree(leader=1)
