"""The DB-API connection: transactions, statements outside of them, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from memory_store import LIMIT_S, MemoryStore

from aurora_store import driver, errors
from aurora_store.native import lib


@pytest.fixture
def connection(store: MemoryStore) -> Iterator[driver.Connection]:
    """A connection that writes, with a table."""
    opened = driver.connect(store.handle)
    opened.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    yield opened
    opened.close()


@pytest.fixture
def reader(store: MemoryStore) -> Iterator[driver.Connection]:
    """A connection that only reads."""
    opened = driver.connect(store.handle, read_only=True)
    yield opened
    opened.close()


def _count(connection: driver.Connection) -> int:
    count: int = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    return count


# ---- transactions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begin",
    ["BEGIN", "begin transaction;", "-- why\n /* and */ BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"],
)
def test_every_spelling_of_begin_waits_in_line_for_the_write_lock(
    store: MemoryStore, connection: driver.Connection, begin: str
) -> None:
    connection.execute(begin)
    assert connection.in_transaction
    other = driver.connect(store.handle)
    with pytest.raises(errors.WriterBusy):
        other.begin(timeout_s=0.01)
    connection.execute("COMMIT")
    other.begin()
    other.rollback()
    other.close()


def test_commit_returns_when_readers_can_see_it(
    connection: driver.Connection, reader: driver.Connection
) -> None:
    for expected in range(1, 20):
        connection.begin()
        connection.execute("INSERT INTO t(v) VALUES(?)", (expected,))
        connection.commit()
        assert _count(reader) == expected
    assert connection.commit_position > 0


def test_commit_as_a_statement_and_the_outermost_release_wait_as_well(
    connection: driver.Connection, reader: driver.Connection
) -> None:
    connection.execute("BEGIN")
    connection.execute("INSERT INTO t(v) VALUES(1)")
    connection.execute("COMMIT")
    assert _count(reader) == 1
    connection.execute("SAVEPOINT s")
    connection.execute("INSERT INTO t(v) VALUES(2)")
    connection.execute("RELEASE s")
    assert _count(reader) == 2


def test_with_commits_or_rolls_back(
    connection: driver.Connection, reader: driver.Connection
) -> None:
    with connection:
        connection.begin()
        connection.execute("INSERT INTO t(v) VALUES(1)")
    assert _count(reader) == 1
    connection.begin()
    connection.execute("INSERT INTO t(v) VALUES(2)")
    with pytest.raises(ZeroDivisionError), connection:
        raise ZeroDivisionError
    assert not connection.in_transaction
    assert _count(connection) == 1


def test_an_error_within_a_transaction_leaves_it_open(connection: driver.Connection) -> None:
    connection.begin()
    connection.execute("INSERT INTO t(id) VALUES(1)")
    with pytest.raises(driver.IntegrityError):
        connection.execute("INSERT INTO t(id) VALUES(1)")
    assert connection.in_transaction
    connection.commit()
    assert _count(connection) == 1


# ---- statements outside a transaction ----------------------------------------------------------


def test_a_statement_outside_a_transaction_is_durable_when_it_returns(
    connection: driver.Connection, reader: driver.Connection
) -> None:
    connection.execute("INSERT INTO t(v) VALUES(1)")
    assert _count(reader) == 1
    connection.execute("DELETE FROM t")
    assert _count(reader) == 0


def test_a_statement_outside_a_transaction_waits_for_its_turn(
    store: MemoryStore, connection: driver.Connection
) -> None:
    other = driver.connect(store.handle)
    connection.begin()
    connection.execute("INSERT INTO t(v) VALUES('first')")
    thread = threading.Thread(target=other.execute, args=("INSERT INTO t(v) VALUES('second')",))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    connection.commit()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert [v for (v,) in connection.execute("SELECT v FROM t ORDER BY id")] == ["first", "second"]
    other.close()


def test_rows_of_a_statement_that_writes_come_after_it_is_durable(
    connection: driver.Connection, reader: driver.Connection
) -> None:
    cursor = connection.execute("INSERT INTO t(v) VALUES(1), (2), (3), (4) RETURNING v")
    assert _count(reader) == 4
    assert cursor.description[0][0] == "v"
    assert cursor.fetchone() == (1,)
    assert next(cursor) == (2,)
    assert cursor.fetchmany(1) == [(3,)]
    assert cursor.fetchall() == [(4,)]
    assert cursor.fetchone() is None
    cursor.execute("SELECT 5")
    assert cursor.fetchall() == [(5,)]
    cursor.close()


def test_executemany_outside_a_transaction_is_all_or_nothing(
    connection: driver.Connection, reader: driver.Connection
) -> None:
    connection.executemany("INSERT INTO t(id) VALUES(?)", [(i,) for i in range(100)])
    assert _count(reader) == 100
    with pytest.raises(driver.IntegrityError):
        connection.executemany("INSERT INTO t(id) VALUES(?)", [(1000,), (1,)])
    assert not connection.in_transaction
    assert _count(connection) == 100


def test_executescript_runs_every_statement_triggers_and_transactions_too(
    connection: driver.Connection, reader: driver.Connection
) -> None:
    connection.executescript(
        """
        CREATE TABLE log(v);  -- a comment; with a semicolon
        CREATE TRIGGER tr AFTER INSERT ON t BEGIN
            INSERT INTO log VALUES('one;');
            INSERT INTO log VALUES('two');
        END;
        BEGIN; INSERT INTO t(v) VALUES(1); COMMIT;
        INSERT INTO t(v) VALUES(2)
        """
    )
    assert [v for (v,) in reader.execute("SELECT v FROM log")] == ["one;", "two"] * 2


def test_reading_outside_a_transaction_takes_no_lock(
    store: MemoryStore, connection: driver.Connection
) -> None:
    other = driver.connect(store.handle)
    other.begin()
    assert _count(connection) == 0
    assert connection.execute("WITH x AS (SELECT 1) SELECT * FROM x").fetchall() == [(1,)]
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    other.rollback()
    other.close()


def test_a_blob_is_written_incrementally_within_a_transaction_only(
    connection: driver.Connection, reader: driver.Connection
) -> None:
    connection.execute("INSERT INTO t VALUES(1, zeroblob(10000))")
    with pytest.raises(driver.ProgrammingError, match="begin a transaction"):
        connection.open_blob("t", "v", 1)
    connection.begin()
    with connection.open_blob("t", "v", 1) as blob:
        blob.write(b"text")
    connection.commit()
    with reader.open_blob("t", "v", 1, readonly=True) as blob:
        assert blob.read(4) == b"text"


# ---- what is refused ---------------------------------------------------------------------------


def test_a_standby_refuses_writes_with_not_leader_and_reads() -> None:
    standby = MemoryStore()
    connection = driver.connect(standby.handle)
    for write in ("BEGIN", "CREATE TABLE t(a)", "BEGIN IMMEDIATE", "VACUUM"):
        with pytest.raises(errors.NotLeader):
            connection.execute(write)
        assert not connection.in_transaction
    with pytest.raises(errors.NotLeader) as caught:
        connection.execute("CREATE TABLE t(a)")
    assert isinstance(caught.value.__cause__, driver.OperationalError)
    connection.execute("CREATE TEMP TABLE mine(a)")
    connection.execute("INSERT INTO mine VALUES(1)")
    assert connection.execute("SELECT a FROM mine").fetchall() == [(1,)]
    assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []
    connection.close()
    standby.close()


def test_a_reading_connection_refuses_writes_and_says_where_to_write(
    connection: driver.Connection, reader: driver.Connection
) -> None:
    for statement in ("INSERT INTO t(v) VALUES(1)", "DROP TABLE t"):
        with pytest.raises(errors.NotLeader, match="reads only"):
            reader.execute(statement)
    reader.begin()
    with pytest.raises(errors.NotLeader, match="reads only"):
        reader.execute("INSERT INTO t(v) VALUES(1)")
    reader.rollback()
    assert _count(reader) == 0


def test_a_commit_that_the_log_refuses_raises_and_was_not_seen_by_readers(
    store: MemoryStore, connection: driver.Connection, reader: driver.Connection
) -> None:
    store.arm("lost-promise")
    connection.begin()
    connection.execute("INSERT INTO t(v) VALUES(1)")
    with pytest.raises((errors.LeadershipLost, errors.CommitOutcomeUnknown)):
        connection.commit()
    store.wait_until_not_leading()
    assert _count(reader) == 0
    assert not reader.stale
    assert connection.stale
    with pytest.raises(errors.LeadershipLost, match="open a new one"):
        connection.execute("SELECT * FROM t")
    with pytest.raises(errors.LeadershipLost, match="open a new one"):
        connection.begin()


def test_a_statement_outside_a_transaction_learns_that_its_commit_was_lost(
    store: MemoryStore, connection: driver.Connection, reader: driver.Connection
) -> None:
    store.arm("lost-promise")
    with pytest.raises((errors.LeadershipLost, errors.CommitOutcomeUnknown)):
        connection.execute("INSERT INTO t(v) VALUES(1)")
    assert _count(reader) == 0


def test_a_commit_without_an_answer_in_time_is_unknown_and_invisible() -> None:
    store = MemoryStore(append_timeout_s=1.0, commit_timeout_s=0.05)
    store.lead()
    setup = driver.connect(store.handle)
    setup.commit_timeout_s = LIMIT_S
    setup.execute("CREATE TABLE t(v)")
    connection = driver.connect(store.handle)
    reader = driver.connect(store.handle, read_only=True)
    store.arm("no-quorum", times=-1)
    connection.begin()
    connection.execute("INSERT INTO t(v) VALUES(1)")
    with pytest.raises(errors.CommitOutcomeUnknown):
        connection.commit()
    assert not connection.in_transaction
    assert _count(reader) == 0
    for opened in (setup, connection, reader):
        opened.close()
    store.close()


def test_a_transaction_that_the_reign_outlived_not_fails_at_commit(
    store: MemoryStore, connection: driver.Connection
) -> None:
    other = driver.connect(store.handle)
    other.execute("INSERT INTO t(v) VALUES('settled')")
    store.arm("lost-promise")
    with pytest.raises((errors.LeadershipLost, errors.CommitOutcomeUnknown)):
        connection.execute("INSERT INTO t(v) VALUES('lost')")
    store.wait_until_not_leading()
    with pytest.raises(errors.NotLeader):
        other.begin()
    assert _count(other) == 1
    other.close()


def test_a_deferred_transaction_that_was_overtaken_is_told_to_begin_again(
    store: MemoryStore, connection: driver.Connection
) -> None:
    other = driver.connect(store.handle)
    connection.execute("BEGIN DEFERRED")
    assert _count(connection) == 0
    other.execute("INSERT INTO t(v) VALUES(1)")
    with pytest.raises(errors.WriterBusy, match="BEGIN IMMEDIATE"):
        connection.execute("INSERT INTO t(v) VALUES(2)")
    connection.rollback()
    other.close()


def test_a_closed_store_refuses_everything(store: MemoryStore) -> None:
    closed = MemoryStore()
    closed.lead()
    connection = driver.connect(closed.handle)
    connection.execute("CREATE TABLE t(a)")
    lib.aur_store_close(closed.store)
    with pytest.raises(errors.StoreClosed):
        connection.begin()
    with pytest.raises(errors.StoreClosed):
        connection.execute("SELECT * FROM t")
    connection.close()
    closed.close()


def test_pragmas_that_would_break_the_rules_are_sqlite_errors_that_name_them(
    connection: driver.Connection,
) -> None:
    with pytest.raises(driver.OperationalError, match="journal_mode is memory"):
        connection.execute("PRAGMA journal_mode=wal")
    with pytest.raises(driver.OperationalError, match="page_size is 4096"):
        connection.execute("PRAGMA page_size=8192")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("memory",)


def test_another_file_is_attached_through_sqlites_own_vfs_only(
    connection: driver.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "other.db"
    with pytest.raises(driver.OperationalError, match="vfs=unix"):
        connection.execute(f"ATTACH '{path}' AS other")
    connection.execute(f"ATTACH 'file:{path}?vfs=unix' AS other")
    connection.execute("CREATE TABLE other.o(a)")
    connection.execute("INSERT INTO t(v) VALUES(7)")
    connection.execute("INSERT INTO other.o SELECT v FROM t")
    assert connection.execute("SELECT a FROM other.o").fetchall() == [(7,)]


def test_a_name_finds_the_store_that_was_registered_under_it(store: MemoryStore) -> None:
    with pytest.raises(errors.StoreClosed, match="'by-name'"):
        driver.connect("by-name")
    driver.register("by-name", store.handle)
    try:
        driver.connect("by-name").close()
        with pytest.raises(errors.LogInUse, match="'by-name'"):
            driver.register("by-name", store.handle)
    finally:
        driver.unregister("by-name")
    with pytest.raises(errors.StoreClosed):
        driver.connect("by-name")


@pytest.mark.parametrize("in_log", [True, False])
def test_the_next_leader_tells_a_waiting_commit_whether_it_is_in_the_log(in_log: bool) -> None:
    store = MemoryStore(append_timeout_s=LIMIT_S)
    store.lead()
    setup = driver.connect(store.handle)
    setup.execute("CREATE TABLE t (v)")
    connection = driver.connect(store.handle)
    store.arm("lost-promise-but-in-log" if in_log else "lost-promise")
    outcome: list[BaseException | None] = []

    def insert() -> None:
        try:
            connection.execute("INSERT INTO t(v) VALUES(1)")
            outcome.append(None)
        except errors.StoreError as error:
            outcome.append(error)

    committing = threading.Thread(target=insert)
    committing.start()
    store.wait_until_not_leading()
    assert not outcome, "nobody has led since, so nobody can know"
    store.lead()
    committing.join(LIMIT_S)
    (told,) = outcome
    if in_log:
        assert told is None
        assert _count(connection) == 1
    else:
        assert isinstance(told, errors.LeadershipLost)
        assert "without it" in str(told)
    assert _count(setup) == int(in_log)
    for opened in (setup, connection):
        opened.close()
    store.close()
