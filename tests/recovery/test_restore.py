"""A file becomes the database of a running store: in one transaction, or not at all."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from memory_stores import MemoryEnsemble

from aurora_store import Store, TokenOutcome, new_token
from aurora_store.errors import (
    AlreadyCommitted,
    BackupFailed,
    CommitOutcomeUnknown,
    Corrupt,
    LeadershipLost,
    NotLeader,
    RecoveryRefused,
)
from aurora_store.status import State


def count(store: Store, table: str = "t") -> int:
    with store.read() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def write(store: Store, *statements: str) -> None:
    with store.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def backup(store: Store, tmp_path: Path) -> Path:
    """The thousand rows; meanwhile most of them are gone."""
    path = tmp_path / "b.db"
    store.backup(path)
    write(store, "DELETE FROM t WHERE id > 10", "CREATE TABLE later (a)")
    return path


def test_the_database_becomes_the_file_and_a_new_reign_begins(store: Store, backup: Path) -> None:
    before = store.status()
    restored = store.restore(backup, force=True)
    after = store.status()
    assert count(store) == 1000
    with store.read() as connection:
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_schema").scalars().all()
        assert tables == ["t"]
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    assert restored.before == before.position and restored.position > before.position
    assert restored.version == before.version + 1, "a single transaction"
    assert restored.epoch == after.epoch == before.epoch + 1
    assert after.state is State.LEADING
    assert restored.snapshot == after.snapshot.position > restored.position
    write(store, "INSERT INTO t (body) VALUES ('goes on')")
    recomputed, rolling = store.verify_checksum()
    assert recomputed == rolling


def test_what_it_takes_the_place_of_is_kept_and_can_be_gone_back_to(
    store: Store, backup: Path, tmp_path: Path
) -> None:
    restored = store.restore(backup, force=True, keep=tmp_path / "before.db")
    assert restored.kept == str(tmp_path / "before.db")
    assert count(store) == 1000
    store.restore(restored.kept, force=True)
    assert count(store) == 10
    assert count(store, "later") == 0


def test_nothing_is_changed_if_what_is_there_cannot_be_kept(
    store: Store, backup: Path, tmp_path: Path
) -> None:
    before = store.status()
    with pytest.raises(BackupFailed):
        store.restore(backup, force=True, keep=tmp_path / "missing" / "before.db")
    assert store.status().position == before.position
    write(store, "INSERT INTO t (body) VALUES ('goes on')")


def test_other_replicas_follow_it_to_the_same_checksum(
    ensemble: MemoryEnsemble, store: Store, backup: Path
) -> None:
    standby = ensemble.open("two:1")
    store.restore(backup, force=True)
    standby.wait_for(store.position)
    assert count(standby) == 1000
    assert standby.status().checksum == store.status().checksum
    assert standby.verify_checksum()[0] == standby.status().checksum


def test_only_pages_that_differ_go_into_the_log(store: Store, tmp_path: Path) -> None:
    write(store, "CREATE TABLE big (b)", "INSERT INTO big VALUES (randomblob(4000000))")
    store.backup(tmp_path / "b.db")
    write(store, "UPDATE t SET body = 'wrong' WHERE id = 500")
    position = store.restore(tmp_path / "b.db", force=True).position
    (entry,) = store.log.read(position, position)
    assert len(entry.data) < 100_000, "4 MB that did not change were sent"


def test_a_reader_keeps_its_version_and_an_open_connection_sees_the_next_one(
    store: Store, backup: Path
) -> None:
    with store.read() as reading:
        assert reading.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 10
        store.restore(backup, force=True)
        assert reading.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 10
    assert count(store) == 1000


def test_a_larger_and_a_smaller_file_both_fit(store: Store, tmp_path: Path) -> None:
    store.backup(tmp_path / "small.db")
    write(store, "CREATE TABLE big (b)", "INSERT INTO big VALUES (zeroblob(9000000))")
    store.backup(tmp_path / "large.db")
    for name, tables in (("small.db", 1), ("large.db", 2), ("small.db", 1)):
        store.restore(tmp_path / name, force=True)
        assert count(store, "sqlite_schema") == tables
        assert store.verify_checksum()[0] == store.status().checksum
        with store.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_a_database_with_something_in_it_is_not_replaced_unless_forced(
    store: Store, backup: Path
) -> None:
    with pytest.raises(RecoveryRefused, match="not empty"):
        store.restore(backup)
    assert count(store) == 10
    write(store, "INSERT INTO t (body) VALUES ('the write lock was given back')")


def test_an_empty_database_is_filled_without_force(backup: Path) -> None:
    with ExitStack() as stack:
        empty = MemoryEnsemble(stack).open("new:1")
        empty.lead()
        empty.restore(backup)
        assert count(empty) == 1000


def test_a_standby_refuses(ensemble: MemoryEnsemble, store: Store, backup: Path) -> None:
    standby = ensemble.open("two:1")
    standby.wait_for(store.position)
    standby.wait_caught_up()
    with pytest.raises(NotLeader):
        standby.restore(backup, force=True)
    assert count(store) == 10


@pytest.mark.parametrize(
    "fault", ["append-fails-and-is-not", "lost-promise", "append-fails-but-is-in-log"]
)
def test_a_reign_that_ends_meanwhile_leaves_all_of_it_or_nothing(
    ensemble: MemoryEnsemble, store: Store, backup: Path, fault: str
) -> None:
    ensemble.logs[0].arm(fault)
    with pytest.raises((CommitOutcomeUnknown, LeadershipLost)):
        store.restore(backup, force=True)
    store.lead()
    assert count(store) == (1000 if fault == "append-fails-but-is-in-log" else 10)
    assert store.verify_checksum()[0] == store.status().checksum
    store.restore(backup, force=True)
    assert count(store) == 1000


def test_whoever_asked_going_away_in_the_middle_changes_nothing(store: Store, backup: Path) -> None:
    def gone(step: str, done: int, total: int) -> None:
        raise ConnectionAbortedError

    write(store, "UPDATE t SET body = 'x'")
    with pytest.raises(ConnectionAbortedError):
        store.restore(backup, force=True, progress=gone)
    assert count(store) == 10
    write(store, "INSERT INTO t (body) VALUES ('goes on')")


def test_a_writer_in_line_runs_after_it_or_hears_that_the_reign_is_over(
    store: Store, backup: Path
) -> None:
    ended: list[str] = []

    def late() -> None:
        try:
            write(store, "INSERT INTO t (body) VALUES ('late')")
            ended.append("committed")
        except (NotLeader, LeadershipLost) as exc:
            ended.append(type(exc).__name__)

    thread = threading.Thread(target=late)
    with store.begin():
        thread.start()
    store.restore(backup, force=True)
    thread.join(20)
    assert ended
    assert count(store) in (1000, 1001)
    assert store.verify_checksum()[0] == store.status().checksum


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000])
def test_what_is_no_database_is_refused(store: Store, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(Corrupt, match=r"x\.db"):
        store.restore(tmp_path / "x.db", force=True)
    with pytest.raises(Corrupt, match="missing"):
        store.restore(tmp_path / "missing.db", force=True)
    assert count(store) == 1000


def test_another_page_size_is_refused(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("CREATE TABLE t (a)")
    with pytest.raises(Corrupt, match="8192"):
        store.restore(tmp_path / "x.db", force=True)


def test_a_transaction_that_was_restored_away_is_not_committed_any_more(
    store: Store, tmp_path: Path
) -> None:
    kept, lost = new_token("kept"), new_token("lost")
    with store.begin(token=kept) as connection:
        connection.exec_driver_sql("DELETE FROM t WHERE id = 1")
    store.backup(tmp_path / "b.db")
    with store.begin(token=lost) as connection:
        connection.exec_driver_sql("DELETE FROM t WHERE id = 2")
    store.restore(tmp_path / "b.db", force=True)
    assert count(store) == 999
    assert store.outcome(kept) is TokenOutcome.COMMITTED
    with pytest.raises(AlreadyCommitted), store.begin(token=kept):
        pass
    assert store.outcome(lost) is TokenOutcome.NOT_COMMITTED
