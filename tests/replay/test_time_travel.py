"""`Store.read(at=...)`: the database as it was."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from aurora_store import Store
from aurora_store.errors import LogTruncated, NotLeader, NotYetInLog
from aurora_store.log import Position
from aurora_store.record import read_record


def insert(store: Store, value: int) -> Position:
    with store.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS t (a INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (:value)"), {"value": value})
    return store.position


def values(store: Store, at: int | datetime | None = None) -> list[int]:
    with store.read(at=at) as connection:
        return list(connection.execute(text("SELECT a FROM t ORDER BY a")).scalars())


def test_the_past_is_read_while_the_present_goes_on(store: Store) -> None:
    positions = [insert(store, value) for value in range(4)]
    for value, position in enumerate(positions):
        assert values(store, position) == list(range(value + 1))
    with store.read(at=positions[1]) as past:
        insert(store, 99)
        assert past.execute(text("SELECT max(a) FROM t")).scalar() == 1
    assert values(store) == [0, 1, 2, 3, 99]


def test_a_time_means_the_last_entry_that_is_not_later(store: Store) -> None:
    first = insert(store, 1)
    time.sleep(0.01)
    between = datetime.now(timezone.utc)
    time.sleep(0.01)
    insert(store, 2)
    assert values(store, between) == [1]
    times = {e.position: read_record(e.data).time for e in store.log.stream(to=store.position)}
    assert values(store, times[first]) == [1]
    # The same moment in another time zone.
    assert values(store, between.astimezone(timezone(timedelta(hours=9)))) == [1]
    assert values(store, datetime.now(timezone.utc)) == [1, 2]


def test_before_the_first_entry_the_database_is_empty(store: Store) -> None:
    insert(store, 1)
    with store.read(at=0) as connection:
        assert connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar() == 0


def test_what_is_not_there_yet_is_refused(store: Store) -> None:
    position = insert(store, 1)
    with pytest.raises(NotYetInLog, match=rf"newest one is {position}"), store.read(at=10**6):
        pass
    with (
        pytest.raises(NotYetInLog, match="in the future"),
        store.read(at=datetime.now(timezone.utc) + timedelta(hours=1)),
    ):
        pass


@pytest.mark.parametrize("at", ["2026-11-25T02:53Z", 3.5, True])
def test_a_moment_is_a_position_or_a_time(store: Store, at: object) -> None:
    with pytest.raises(TypeError, match="position or a datetime"), store.read(at=at):  # type: ignore[arg-type]
        pass


def test_a_time_needs_a_time_zone(store: Store) -> None:
    with pytest.raises(ValueError, match="time zone"), store.read(at=datetime(2020, 1, 1)):
        pass


def test_before_the_history_kept_the_error_says_where_it_begins(store: Store) -> None:
    insert(store, 1)
    begins = read_record(next(iter(store.log.stream())).data).time
    with (
        pytest.raises(LogTruncated, match=begins.isoformat().replace("+", r"\+")),
        store.read(at=begins - timedelta(seconds=1)),
    ):
        pass


def test_the_past_cannot_be_changed(store: Store) -> None:
    position = insert(store, 1)
    with pytest.raises(NotLeader), store.read(at=position) as connection:
        connection.execute(text("INSERT INTO t VALUES (2)"))


def test_a_session_reads_the_past_too(store: Store) -> None:
    position = insert(store, 1)
    insert(store, 2)
    with store.read_session(at=position) as session:
        assert list(session.execute(text("SELECT a FROM t")).scalars()) == [1]
