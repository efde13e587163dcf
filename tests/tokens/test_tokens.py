"""A transaction with a token happens once, whatever its caller heard of it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from memory_stores import MemoryEnsemble
from sqlalchemy import text
from sqlalchemy.orm import Session

from aurora_store import Store, TokenOutcome, new_token
from aurora_store.errors import (
    AlreadyCommitted,
    CommitOutcomeUnknown,
    LeadershipLost,
    NotLeader,
    StoreError,
    TokenExpired,
    TokenRefused,
)


def insert(store: Store, token: str, value: int = 1) -> None:
    with store.begin(token=token) as connection:
        connection.execute(text("INSERT INTO t VALUES (:a)"), {"a": value})


def values(store: Store) -> list[int]:
    with store.read() as connection:
        return list(connection.execute(text("SELECT a FROM t ORDER BY a")).scalars())


def test_a_committed_token_says_so_and_a_second_run_is_refused_before_it_does_anything(
    store: Store,
) -> None:
    token = new_token("launch-17")
    insert(store, token)
    assert store.outcome(token) is TokenOutcome.COMMITTED
    with pytest.raises(AlreadyCommitted, match="launch-17"), store.begin(token=token):
        pytest.fail("the block of a transaction that happened already was run")
    assert values(store) == [1]


def test_a_token_that_was_never_used_is_settled_as_not_committed_for_ever(store: Store) -> None:
    token = new_token()
    assert store.outcome(token) is TokenOutcome.NOT_COMMITTED
    with pytest.raises(TokenRefused, match="new token"):
        insert(store, token)
    assert store.outcome(token) is TokenOutcome.NOT_COMMITTED
    assert values(store) == []


def test_a_transaction_that_is_rolled_back_takes_its_token_back(store: Store) -> None:
    token = new_token()
    with pytest.raises(ZeroDivisionError), store.begin(token=token) as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        raise ZeroDivisionError
    insert(store, token, 2)
    assert values(store) == [2]


def test_the_first_token_of_a_store_makes_the_table_in_the_same_transaction(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.begin(token=new_token()):
        raise ZeroDivisionError
    with store.read() as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_schema")).scalars().all()
    assert tables == ["t"]


def test_an_orm_session_joins_a_transaction_with_a_token(store: Store) -> None:
    token = new_token()
    with store.begin(token=token) as connection, Session(connection) as session:
        session.execute(text("INSERT INTO t VALUES (1)"))
        session.flush()
    assert store.outcome(token) is TokenOutcome.COMMITTED
    assert values(store) == [1]


@pytest.mark.parametrize("token", ["", "launch", "123-x", "0" * 16 + "-", "0" * 16 + "-a b"])
def test_a_text_that_is_no_token_is_refused(store: Store, token: str) -> None:
    with pytest.raises(ValueError, match="no token"):
        insert(store, token)
    with pytest.raises(ValueError, match="no token"):
        store.outcome(token)
    with pytest.raises(ValueError, match="no token"):
        new_token("a\nb")


# ---- what the caller does not know ----


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("append-fails-but-is-in-log", TokenOutcome.COMMITTED),
        ("append-fails-and-is-not", TokenOutcome.NOT_COMMITTED),
        ("lost-promise-but-in-log", TokenOutcome.COMMITTED),
        ("lost-promise", TokenOutcome.NOT_COMMITTED),
    ],
)
def test_after_an_ambiguous_append_the_next_leader_knows_for_certain(
    ensemble: MemoryEnsemble, fault: str, outcome: TokenOutcome
) -> None:
    old = ensemble.open("old:1", append_timeout=0.3)
    old.lead()
    with old.begin() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
    insert(old, new_token(), 0)
    token = new_token()
    ensemble.logs[0].arm(fault)
    with pytest.raises((CommitOutcomeUnknown, LeadershipLost)):
        insert(old, token)
    with pytest.raises(NotLeader):  # nobody has settled it
        old.outcome(token)

    new = ensemble.open("new:1")
    new.lead()
    assert new.outcome(token) is outcome
    assert values(new) == ([0, 1] if outcome is TokenOutcome.COMMITTED else [0])
    old.wait_for(new.position)
    assert old.outcome(token) is outcome, "a standby that has applied the answer knows it"


def test_running_it_again_with_the_same_token_has_the_effect_once(
    ensemble: MemoryEnsemble, store: Store
) -> None:
    for number, fault in enumerate(
        ("append-fails-but-is-in-log", "lost-promise", "append-fails-and-is-not")
    ):
        token = new_token()
        ensemble.logs[0].arm(fault)
        while True:
            try:
                insert(store, token, number)
            except AlreadyCommitted:
                break
            except (CommitOutcomeUnknown, LeadershipLost, NotLeader):
                store.lead()
            else:
                break
    assert values(store) == [0, 1, 2]


def test_a_leader_that_was_fenced_and_does_not_know_it_does_not_answer(
    ensemble: MemoryEnsemble, store: Store
) -> None:
    token = new_token()
    new = ensemble.open("new:1")
    new.lead()
    insert(new, token)
    try:
        # It may have applied the new leader's entries meanwhile: then it knows.
        assert store.outcome(token) is TokenOutcome.COMMITTED
    except NotLeader as exc:
        assert exc.hint is not None and "leader" in exc.hint


def test_a_standby_says_committed_and_never_not_committed(
    ensemble: MemoryEnsemble, store: Store
) -> None:
    standby = ensemble.open("two:1")
    used, unused = new_token(), new_token()
    insert(store, used)
    standby.wait_for(store.position)
    assert standby.outcome(used) is TokenOutcome.COMMITTED
    with pytest.raises(NotLeader, match=unused) as refused:
        standby.outcome(unused)
    assert refused.value.hint is not None and "one:1" in refused.value.hint


def test_an_attempt_that_waits_in_line_while_it_is_asked_about_cannot_contradict_the_answer(
    store: Store,
) -> None:
    token = new_token()
    errors: list[StoreError] = []

    def attempt() -> None:
        try:
            insert(store, token)
        except StoreError as exc:
            errors.append(exc)

    asked: list[TokenOutcome] = []
    asking = threading.Thread(target=lambda: asked.append(store.outcome(token)))
    trying = threading.Thread(target=attempt)
    with store.begin() as connection:  # both wait behind this one, in this order
        connection.execute(text("INSERT INTO t VALUES (0)"))
        for number, thread in enumerate((asking, trying), 1):
            thread.start()
            _wait_until_waiting(store, number)
    for thread in (asking, trying):
        thread.join(20)
    assert asked == [TokenOutcome.NOT_COMMITTED]
    assert [type(error) for error in errors] == [TokenRefused]
    assert values(store) == [0]


def _wait_until_waiting(store: Store, writers: int) -> None:
    deadline = time.monotonic() + 20
    while store.status().writers_waiting < writers:
        assert time.monotonic() < deadline
        time.sleep(0.001)


# ---- forgetting ----


def old_token(name: str, age: timedelta) -> str:
    made_at_us = time.time_ns() // 1000 - int(age.total_seconds() * 1e6)
    return f"{made_at_us:016d}-{name}"


def test_expiry_forgets_old_tokens_and_never_says_not_committed_of_one_that_was(
    store: Store,
) -> None:
    old, young = old_token("old", timedelta(days=8)), new_token("young")
    never = old_token("never-used", timedelta(days=9))
    insert(store, old)
    insert(store, young, 2)
    assert store.expire_tokens(timedelta(days=7)) == 1
    for token in (old, never):
        with pytest.raises(TokenExpired, match="was forgotten"):
            store.outcome(token)
        with pytest.raises(TokenExpired):
            insert(store, token)
    assert store.outcome(young) is TokenOutcome.COMMITTED
    assert values(store) == [1, 2]


def test_a_standby_says_that_a_token_was_forgotten(ensemble: MemoryEnsemble, store: Store) -> None:
    old = old_token("old", timedelta(days=8))
    insert(store, old)
    store.expire_tokens(timedelta(days=7))
    standby = ensemble.open("two:1")
    standby.wait_for(store.position)
    with pytest.raises(TokenExpired):
        standby.outcome(old)


def test_the_horizon_never_goes_back(store: Store) -> None:
    insert(store, old_token("a", timedelta(days=3)))
    insert(store, old_token("b", timedelta(days=10)), 2)
    assert store.expire_tokens(timedelta(days=1)) == 2
    insert(store, new_token())
    assert store.expire_tokens(timedelta(days=2)) == 0
    with pytest.raises(TokenExpired):
        store.outcome(old_token("c", timedelta(days=1, hours=1)))


def test_nothing_is_written_when_there_is_nothing_to_forget(store: Store) -> None:
    version = store.status().version
    assert store.expire_tokens(timedelta(days=7)) == 0
    insert(store, new_token())
    assert store.expire_tokens(timedelta(days=7)) == 0
    assert store.status().version == version + 1
    assert store.outcome(old_token("x", timedelta(days=8))) is TokenOutcome.NOT_COMMITTED


def test_many_tokens_are_forgotten_in_bounded_transactions(store: Store) -> None:
    insert(store, new_token())
    with store.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO aurora_store_token WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
            " FROM n WHERE i < 25000) SELECT printf('%016d-%d', i, i), 1, i, 1 FROM n"
        )
    version = store.status().version
    assert store.expire_tokens(timedelta(days=1)) == 25000
    assert store.status().version == version + 3


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=-1)])
def test_an_age_that_would_forget_tokens_in_use_is_refused(store: Store, age: timedelta) -> None:
    with pytest.raises(ValueError, match="above 0"):
        store.expire_tokens(age)
