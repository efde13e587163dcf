"""A replay is the database at any position of the log; an image is a version held still."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sqlalchemy import text

from aurora_store import Store
from aurora_store.errors import Corrupt, ForeignEntry, NotLeader, StoreClosed
from aurora_store.image import PAGE_BYTES
from aurora_store.log import Entry, Position
from aurora_store.record import Kind, PageChange, changed_pages, leader_of, read_record
from aurora_store.replay import Replay


def insert(store: Store, value: int) -> Position:
    with store.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS t (a INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (:value)"), {"value": value})
    return store.position


def entries(store: Store) -> list[Entry]:
    return list(store.log.stream(to=store.position))


def values(replay: Replay) -> list[int]:
    with closing(replay.connect()) as connection:
        return [row[0] for row in connection.execute("SELECT a FROM t ORDER BY a")]


def test_a_replay_shows_each_state_that_the_log_went_through(store: Store) -> None:
    positions = {insert(store, value): value for value in range(5)}
    replay = Replay()
    for entry in entries(store):
        replay.apply(entry)
        if entry.position in positions:
            assert values(replay) == list(range(positions[entry.position] + 1))
    status = store.status()
    assert (replay.info.position, replay.info.version) == (status.position, status.version)
    assert replay.info.checksum == status.checksum
    assert replay.info.leader.host == store.host
    assert (datetime.now(timezone.utc) - replay.info.time).total_seconds() < 3600


def test_a_reader_keeps_its_version_while_the_replay_goes_on(store: Store) -> None:
    first, second = insert(store, 1), insert(store, 2)
    replay = Replay()
    for entry in store.log.stream(to=first):
        replay.apply(entry)
    with closing(replay.connect()) as reader:
        reader.begin()
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)
        for entry in store.log.stream(from_=first + 1, to=second):
            replay.apply(entry)
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)
        reader.rollback()
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_a_replay_cannot_be_written(store: Store) -> None:
    insert(store, 1)
    replay = Replay()
    for entry in entries(store):
        replay.apply(entry)
    with closing(replay.connect()) as connection, pytest.raises(NotLeader):
        connection.execute("INSERT INTO t VALUES (2)")


def test_a_replay_names_the_position_it_refuses_and_goes_on_from_there(store: Store) -> None:
    insert(store, 1)
    log = entries(store)
    replay = Replay()
    damaged = bytearray(log[0].data)
    damaged[-1] ^= 1
    with pytest.raises(Corrupt, match=f"position {log[0].position}: .*checksum"):
        replay.apply(Entry(log[0].position, bytes(damaged)))
    with pytest.raises(ForeignEntry, match="not written by aurora-store"):
        replay.apply(Entry(log[0].position, b"another application's"))
    for entry in log:
        replay.apply(entry)
    assert values(replay) == [1]


def test_a_written_replay_is_an_ordinary_database_for_its_owner_alone(
    store: Store, tmp_path: Path
) -> None:
    insert(store, 1)
    position = insert(store, 2)
    replay = Replay()
    for entry in entries(store):
        replay.apply(entry)
    target = tmp_path / "out.db"
    target.write_text("what was there before")
    replay.write(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.stat().st_size == replay.info.page_count * PAGE_BYTES
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT a FROM t ORDER BY a").fetchall() == [(1,), (2,)]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert replay.info.position == position


def test_a_file_that_could_not_be_written_leaves_nothing_behind(
    store: Store, tmp_path: Path
) -> None:
    insert(store, 1)
    target = tmp_path / "out.db"
    target.write_text("what was there before")

    def fail(_done: int, _total: int) -> None:
        raise OSError("disk full")

    with store.image() as image, pytest.raises(OSError):
        image.write(target, progress=fail)
    assert target.read_text() == "what was there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "out.db"]


def test_an_image_is_one_version_with_its_place_in_the_log(store: Store) -> None:
    position = insert(store, 1)
    image = store.image()
    insert(store, 2)
    assert (image.position, image.epoch) == (position, 1)
    record = next(read_record(e.data) for e in entries(store) if e.position == position)
    assert image.time == record.time
    assert (image.version, image.page_count) == (record.last_version, record.page_count)
    assert image.checksum == record.checksum_after
    assert image.read(1, 1)[:16] == b"SQLite format 3\0"
    assert image.read(image.page_count + 1, 1) == b""
    image.close()
    image.close()
    with pytest.raises(StoreClosed):
        image.read(1, 1)


def test_an_entry_says_what_it_is(store: Store) -> None:
    insert(store, 1)
    leader, batch = (entry.data for entry in entries(store))
    assert read_record(leader).kind is Kind.LEADER
    assert leader_of(leader).instance == store.instance
    assert changed_pages(leader) == []
    record = read_record(batch)
    assert (record.kind, record.transactions, record.first_version) == (Kind.BATCH, 1, 1)
    assert [(page.number, page.change) for page in changed_pages(batch)] == [
        (1, PageChange.FULL),
        (2, PageChange.FULL),
    ]
    with pytest.raises(Corrupt, match="not a leader record"):
        leader_of(batch)
    with pytest.raises(ForeignEntry):
        read_record(b"hello")
