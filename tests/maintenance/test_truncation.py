"""Nothing is truncated that cannot be made up for. On the test double of a log, which can lie."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from memory_stores import MemoryEnsemble
from sqlalchemy import text

from aurora_store import Store, new_token
from aurora_store.backup import Backup, BackupSchedule, list_backups
from aurora_store.errors import Corrupt, LogTruncated, NotLeader, TokenExpired
from aurora_store.maintenance import (
    HistoryPolicy,
    JobStatus,
    Policies,
    SnapshotPolicy,
    execute_truncation,
    plan_truncation,
)

ONE = HistoryPolicy(snapshots=1)


def leading(ensemble: MemoryEnsemble, **options: object) -> Store:
    """A store of one replica that leads, with one row."""
    store = ensemble.open("one:1", **options)
    store.wait_caught_up()
    store.lead()
    with store.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    return store


def insert(store: Store, number: int) -> None:
    with store.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})


def failing(store: Store) -> tuple[JobStatus, ...]:
    maintenance = store.status().maintenance
    assert maintenance is not None
    return maintenance.failing


def done(store: Store) -> set[str]:
    maintenance = store.status().maintenance
    assert maintenance is not None
    return {job.name for job in maintenance.jobs if job.done}


def test_a_damaged_snapshot_lets_nothing_go(ensemble: MemoryEnsemble) -> None:
    store = leading(ensemble)
    # The first entry of a snapshot is its begin, the second one holds pages.
    ensemble.logs[0].arm("corrupt-entry", countdown=1)
    store.snapshot(timeout=30.0)
    plan = plan_truncation(store, ONE)
    assert plan.positions > 0
    with pytest.raises(Corrupt, match="cannot be relied on, so the log stays as it is"):
        execute_truncation(store, plan)
    assert store.log.beginning() == 0


def test_the_newest_snapshot_is_read_back_too(ensemble: MemoryEnsemble) -> None:
    store = leading(ensemble)
    store.snapshot(timeout=30.0)
    insert(store, 1)
    ensemble.logs[0].arm("corrupt-entry", countdown=1)
    store.snapshot(timeout=30.0)
    plan = plan_truncation(store, HistoryPolicy(snapshots=2))
    with pytest.raises(Corrupt):
        execute_truncation(store, plan)
    assert store.log.beginning() == 0


def test_old_tokens_are_forgotten_and_a_backup_is_made_by_policy(
    ensemble: MemoryEnsemble, tmp_path: Path
) -> None:
    (tmp_path / "backups").mkdir()
    policies = Policies(
        snapshot=None,
        history=None,
        tokens=timedelta(milliseconds=1),
        backups=BackupSchedule(tmp_path / "backups"),
        interval=0.02,
    )
    store = leading(ensemble, maintenance=policies)
    token = new_token()
    with store.begin(token=token) as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    deadline = time.monotonic() + 30.0
    while len(done(store)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done(store) == {"tokens", "backup"}
    assert len(list_backups(tmp_path / "backups")) == 1
    with pytest.raises(TokenExpired):
        store.outcome(token)


def test_the_first_backup_is_made_once_the_replica_has_caught_up_and_waits_for_no_interval(
    ensemble: MemoryEnsemble, tmp_path: Path
) -> None:
    leader = leading(ensemble)
    for number in range(200):
        insert(leader, number)
    policies = Policies(backups=BackupSchedule(tmp_path), interval=3600.0)
    standby = ensemble.open("two:1", maintenance=policies)
    deadline = time.monotonic() + 30.0
    while not done(standby) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done(standby) == {"backup"}
    ((_, backup),) = list_backups(tmp_path)
    assert isinstance(backup, Backup) and backup.version == leader.status().version


def test_there_is_no_backup_of_a_database_that_nobody_has_begun(
    ensemble: MemoryEnsemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = Policies(backups=BackupSchedule(tmp_path), interval=0.02)
    store = ensemble.open("one:1", maintenance=policies)
    store.wait_caught_up()
    store.lead()
    looks = threading.Semaphore(0)  # each look at everything ends with the disk
    monkeypatch.setattr(ensemble.logs[0], "disk_usage", lambda: looks.release() or 0)
    for _ in range(2):
        assert looks.acquire(timeout=30.0)
    assert list_backups(tmp_path) == []
    with store.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    deadline = time.monotonic() + 30.0
    while not done(store) and time.monotonic() < deadline:
        time.sleep(0.01)
    ((_, backup),) = list_backups(tmp_path)
    assert isinstance(backup, Backup) and backup.version == 1


def test_an_old_plan_is_refused(ensemble: MemoryEnsemble) -> None:
    store = leading(ensemble)
    store.snapshot(timeout=30.0)
    old = plan_truncation(store, ONE)
    insert(store, 1)
    store.snapshot(timeout=30.0)
    execute_truncation(store, plan_truncation(store, ONE))
    with pytest.raises(LogTruncated, match="plan again"):
        execute_truncation(store, old)


def test_a_standby_plans_and_does_not_execute(ensemble: MemoryEnsemble) -> None:
    store = leading(ensemble)
    standby = ensemble.open("two:1")
    store.snapshot(timeout=30.0)
    standby.wait_for(store.position)
    plan = plan_truncation(standby, ONE)
    assert plan.positions > 0
    with pytest.raises(NotLeader):
        execute_truncation(standby, plan)
    assert store.log.beginning() == 0


def test_by_policy_a_damaged_snapshot_is_told_while_the_store_goes_on(
    ensemble: MemoryEnsemble, caplog: pytest.LogCaptureFixture
) -> None:
    store = leading(ensemble, maintenance=Policies(snapshot=None, history=ONE, interval=0.02))
    ensemble.logs[0].arm("corrupt-entry", countdown=1)
    store.snapshot(timeout=30.0)
    deadline = time.monotonic() + 30.0
    while not failing(store) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [job.name for job in failing(store)] == ["truncation"]
    assert "cannot be relied on" in failing(store)[0].error
    assert "truncation failed, and is tried again" in caplog.text
    insert(store, 1)
    assert store.log.beginning() == 0


def test_a_snapshot_is_taken_by_policy_and_the_log_truncated(ensemble: MemoryEnsemble) -> None:
    policies = Policies(
        snapshot=SnapshotPolicy(min_bytes=2000, times_database=0.0), history=ONE, interval=0.02
    )
    store = leading(ensemble, maintenance=policies)
    deadline = time.monotonic() + 30.0
    number = 0
    while store.log.beginning() == 0 and time.monotonic() < deadline:
        insert(store, number)
        number += 1
    assert store.log.beginning() > 0
    assert failing(store) == ()
    with store.read() as connection:
        found = connection.execute(text("SELECT count(*) FROM t")).scalar()
    assert found == number
