"""Units of work that share a transaction: each has its own result, and only once it is durable."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest
from memory_stores import MemoryEnsemble
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from aurora_store import Store
from aurora_store.errors import CommitOutcomeUnknown, NotLeader, StoreClosed, WaitTimeout

LIMIT_S = 30.0


@pytest.fixture
def store(ensemble: MemoryEnsemble) -> Store:
    store = ensemble.open("one")
    store.lead()
    with store.begin() as connection:
        connection.execute(text("CREATE TABLE task (id TEXT PRIMARY KEY)"))
    return store


def add(name: str) -> object:
    def work(connection: Connection) -> str:
        connection.execute(text("INSERT INTO task VALUES (:name)"), {"name": name})
        return name

    return work


def names(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.scalars(text("SELECT id FROM task ORDER BY id")))


class Gate:
    """A unit that holds its transaction open, so that others gather behind it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, connection: Connection) -> None:
        self.entered.set()
        assert self.open.wait(LIMIT_S)


def test_each_unit_gets_its_own_result(store: Store) -> None:
    with store.batch() as batch:
        futures = [batch.submit(add(str(number))) for number in range(20)]
        assert [each.result(LIMIT_S) for each in futures] == [str(each) for each in range(20)]
    assert len(names(store)) == 20


def test_what_gathers_while_a_transaction_runs_shares_the_next_one(store: Store) -> None:
    gate = Gate()
    before = store.status().transactions
    with store.batch() as batch:
        first = batch.submit(gate)
        assert gate.entered.wait(LIMIT_S)
        rest = [batch.submit(add(str(number))) for number in range(50)]
        gate.open.set()
        for each in [first, *rest]:
            each.result(LIMIT_S)
    # The first wrote nothing; the fifty are one version.
    assert store.status().transactions - before == 1


def test_no_transaction_has_more_units_than_the_limit(store: Store) -> None:
    gate = Gate()
    before = store.status().transactions
    with store.batch(limit=10) as batch:
        batch.submit(gate)
        assert gate.entered.wait(LIMIT_S)
        rest = [batch.submit(add(str(number))) for number in range(50)]
        gate.open.set()
        for each in rest:
            each.result(LIMIT_S)
    assert store.status().transactions - before == 5


def test_a_unit_that_fails_takes_back_its_own_work_alone(store: Store) -> None:
    def half(connection: Connection) -> None:
        add("half")(connection)
        raise LookupError("no such host")

    gate = Gate()
    with store.batch() as batch:
        batch.submit(gate)
        assert gate.entered.wait(LIMIT_S)
        futures = [batch.submit(work) for work in (add("a"), half, add("a"), add("b"))]
        gate.open.set()
        assert futures[0].result(LIMIT_S) == "a"
        with pytest.raises(LookupError, match="no such host"):
            futures[1].result(LIMIT_S)
        with pytest.raises(IntegrityError):
            futures[2].result(LIMIT_S)
        assert futures[3].result(LIMIT_S) == "b"
    assert names(store) == ["a", "b"]


@pytest.mark.parametrize("statement", ["ROLLBACK", "INSERT OR ROLLBACK INTO task VALUES ('a')"])
def test_a_unit_that_rolls_the_transaction_back_fails_all_of_it(
    store: Store, statement: str
) -> None:
    def roll_back(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    gate = Gate()
    with store.batch() as batch:
        batch.submit(gate)
        assert gate.entered.wait(LIMIT_S)
        futures = [batch.submit(work) for work in (add("a"), roll_back, add("b"))]
        gate.open.set()
        for each in futures:
            assert each.exception(LIMIT_S) is not None
        assert batch.submit(add("c")).result(LIMIT_S) == "c"
    assert names(store) == ["c"]


def test_no_result_is_told_before_a_quorum_has_it(ensemble: MemoryEnsemble, store: Store) -> None:
    ensemble.logs[0].arm("no-quorum", times=-1)
    with store.batch() as batch:
        future = batch.submit(add("a"))
        with pytest.raises(CommitOutcomeUnknown):
            future.result(LIMIT_S)


def test_units_of_a_standby_fail_and_the_next_reign_takes_units_again(store: Store) -> None:
    with store.batch() as batch:
        store.step_down()
        with pytest.raises(NotLeader):
            batch.submit(add("a")).result(LIMIT_S)
        store.lead()
        assert batch.submit(add("b")).result(LIMIT_S) == "b"
    assert names(store) == ["b"]


def test_a_cancelled_unit_never_runs(store: Store) -> None:
    gate = Gate()
    with store.batch() as batch:
        batch.submit(gate)
        assert gate.entered.wait(LIMIT_S)
        cancelled: Future[str] = batch.submit(add("a"))
        kept = batch.submit(add("b"))
        assert cancelled.cancel()
        gate.open.set()
        kept.result(LIMIT_S)
    assert names(store) == ["b"]


def test_close_waits_for_what_was_submitted_and_then_refuses(store: Store) -> None:
    batch = store.batch()
    futures = [batch.submit(add(str(number))) for number in range(10)]
    batch.close()
    assert all(each.done() for each in futures)
    batch.close()
    with pytest.raises(StoreClosed):
        batch.submit(add("late"))


def test_close_has_a_limit(store: Store) -> None:
    gate = Gate()
    batch = store.batch()
    batch.submit(gate)
    assert gate.entered.wait(LIMIT_S)
    with pytest.raises(WaitTimeout):
        batch.close(timeout=0.1)
    gate.open.set()
    batch.close()


def test_a_closed_store_ends_the_units_that_wait(store: Store) -> None:
    batch = store.batch()
    store.close()
    with pytest.raises(StoreClosed):
        batch.submit(add("a")).result(LIMIT_S)
    batch.close()


def test_a_batch_has_at_least_one_unit(store: Store) -> None:
    with pytest.raises(ValueError, match="at least one"):
        store.batch(limit=0)
