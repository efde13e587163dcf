"""Subscribers hear of what is durable, in order, and miss nothing when the leader changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest
from memory_stores import MemoryEnsemble
from sqlalchemy import Connection, text

from aurora_store import Store
from aurora_store.errors import CommitOutcomeUnknown, FormatTooNew, LeadershipLost, WaitTimeout
from aurora_store.events import Event, Events

LIMIT_S = 30.0


@pytest.fixture
def store(ensemble: MemoryEnsemble) -> Store:
    store = ensemble.open("one")
    store.lead()
    with store.begin() as connection:
        Events(store).create_tables(connection)
    return store


def publish(store: Store, *bodies: object, topic: str = "task") -> None:
    events = Events(store)
    for body in bodies:
        with store.begin() as connection:
            events.publish(connection, topic, body)


class Heard:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, events: Sequence[Event]) -> None:
        self.events.extend(events)

    @property
    def bodies(self) -> list[object]:
        return [each.body for each in self.events]


def wait(look: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not look():
        assert time.monotonic() < end, f"not within {LIMIT_S:g} s: {what}"
        time.sleep(0.005)


def began(store: Store, *names: str) -> None:
    """Waits until they have a cursor: before, what is published is not theirs."""
    wait(lambda: set(names) <= set(Events(store).backlog()), f"{names} have a cursor")


def test_events_come_in_the_order_of_their_commits(store: Store) -> None:
    heard = Heard()
    with Events(store).subscribe("s", heard):
        began(store, "s")
        publish(store, *range(50))
        wait(lambda: len(heard.events) == 50, "all events were heard")
    assert heard.bodies == list(range(50))
    ids = [each.id for each in heard.events]
    assert ids == sorted(set(ids))
    assert {each.topic for each in heard.events} == {"task"}


def test_what_is_rolled_back_is_never_heard(store: Store) -> None:
    heard = Heard()
    events = Events(store)
    with events.subscribe("s", heard):
        began(store, "s")
        with pytest.raises(LookupError), store.begin() as connection:
            events.publish(connection, "task", "void")
            raise LookupError
        publish(store, "kept")
        wait(lambda: bool(heard.events), "the other one was heard")
    assert heard.bodies == ["kept"]


def test_what_no_quorum_has_is_not_heard(ensemble: MemoryEnsemble, store: Store) -> None:
    heard = Heard()
    with Events(store).subscribe("s", heard):
        began(store, "s")
        ensemble.logs[0].arm("append-fails-and-is-not")
        with pytest.raises((LeadershipLost, CommitOutcomeUnknown)):
            publish(store, "void")
        store.lead()
        publish(store, "kept")
        wait(lambda: bool(heard.events), "the other one was heard")
    assert heard.bodies == ["kept"]


def test_next_leader_goes_on_and_nothing_is_missed(ensemble: MemoryEnsemble, store: Store) -> None:
    other = ensemble.open("two")
    first, second = Heard(), Heard()
    with Events(store).subscribe("s", first), Events(other).subscribe("s", second):
        began(store, "s")
        publish(store, *range(20))
        wait(lambda: bool(first.events), "the first leader's were heard")
        other.lead()
        publish(other, *range(20, 40))
        wait(lambda: 39 in second.bodies, "the second leader's were heard")
    # At least once: what the first one's cursor had not come to is heard again.
    assert set(first.bodies) | set(second.bodies) == set(range(40))
    for heard in (first, second):
        assert heard.bodies == sorted(set(heard.bodies), key=heard.bodies.index)
        ids = [each.id for each in heard.events]
        assert ids == sorted(ids)


def test_closing_saves_the_cursor_so_that_nothing_comes_twice(store: Store) -> None:
    first, second = Heard(), Heard()
    with Events(store).subscribe("s", first):
        began(store, "s")
        publish(store, "a")
        wait(lambda: bool(first.events), "it was heard")
    publish(store, "b")
    with Events(store).subscribe("s", second):
        wait(lambda: bool(second.events), "the next was heard")
    assert second.bodies == ["b"]


def test_a_handler_that_fails_gets_the_same_events_again(store: Store) -> None:
    calls: list[list[object]] = []

    def handler(events: Sequence[Event]) -> None:
        calls.append([each.body for each in events])
        if len(calls) == 1:
            raise LookupError("not yet")

    with Events(store).subscribe("s", handler) as subscription:
        began(store, "s")
        publish(store, "a")
        wait(lambda: subscription.delivered == 1, "it was taken in the end")
    assert calls == [["a"], ["a"]]
    assert subscription.failures == 1


def test_an_event_that_is_too_new_for_the_handler_is_told_of_in_the_log(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(events: Sequence[Event]) -> None:
        if subscription.failures < 2:
            raise FormatTooNew("a newer release has published it", hint="upgrade this replica")

    with Events(store).subscribe("s", handler) as subscription:
        began(store, "s")
        publish(store, "a")
        wait(lambda: subscription.delivered == 1, "it was taken in the end")
    assert subscription.failures == 2
    assert [each.levelname for each in caplog.records if each.exc_info] == ["ERROR", "ERROR"]
    assert "upgrade this replica" in caplog.text


def test_the_current_state_comes_first_and_then_what_changed_since(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(text("CREATE TABLE task (id TEXT)"))
        connection.execute(text("INSERT INTO task VALUES ('old')"))
    publish(store, "old")
    told: list[object] = []

    def current(connection: Connection) -> None:
        told.append(["state", *connection.scalars(text("SELECT id FROM task"))])

    def handler(events: Sequence[Event]) -> None:
        told.extend(each.body for each in events)

    with Events(store).subscribe("s", handler, current=current):
        wait(lambda: bool(told), "the state was told")
        publish(store, "new")
        wait(lambda: len(told) == 2, "what changed was told")
    assert told == [["state", "old"], "new"]


def test_events_are_deleted_once_everybody_is_past_them(store: Store) -> None:
    events = Events(store)
    slow = threading.Event()
    with (
        events.subscribe("fast", Heard()) as fast,
        events.subscribe("slow", lambda _: slow.wait(LIMIT_S) and None) as behind,
    ):
        began(store, "fast", "slow")
        publish(store, *range(10))
        wait(lambda: fast.delivered == 10, "the fast one heard them")
        wait(lambda: events.backlog()["fast"] == 0, "its cursor was saved")
        assert events.backlog()["slow"] == 10
        with store.read() as connection:
            assert len(events.read(connection, after=0)) == 10
        slow.set()
        wait(lambda: behind.delivered == 10, "the slow one heard them")
    with store.read() as connection:
        assert events.read(connection, after=0) == []
        assert events.newest(connection) == 10


def test_a_forgotten_subscriber_holds_nothing_back(store: Store) -> None:
    events = Events(store)
    for name in ("gone", "stays"):
        with events.subscribe(name, Heard()):
            began(store, name)
    publish(store, "a")
    events.forget("gone")
    heard = Heard()
    with events.subscribe("stays", heard):
        wait(lambda: bool(heard.events), "it was heard")
    assert events.backlog() == {"stays": 0}
    with store.read() as connection:
        assert events.read(connection, after=0) == []


def test_a_subscriber_of_a_standby_waits_for_its_reign(
    ensemble: MemoryEnsemble, store: Store
) -> None:
    other = ensemble.open("two")
    heard, elsewhere = Heard(), Heard()
    with Events(store).subscribe("s", heard), Events(other).subscribe("s", elsewhere):
        began(store, "s")
        publish(store, "a")
        wait(lambda: bool(heard.events), "the leader's subscriber heard it")
        assert elsewhere.events == []


def test_a_subscriber_without_a_name_or_a_handler_is_refused(store: Store) -> None:
    events = Events(store)
    with pytest.raises(ValueError, match="name of a subscriber is a text that is not empty"):
        events.subscribe("", Heard())
    with pytest.raises(TypeError, match="handler of subscriber 's' is called with events: not 's'"):
        events.subscribe("s", "s")  # type: ignore[arg-type]


def test_a_name_has_one_subscription_since_two_would_move_each_others_cursor(store: Store) -> None:
    heard = Heard()
    with Events(store).subscribe("s", heard):
        with pytest.raises(ValueError, match="subscriber 's' is there already: close it first"):
            Events(store).subscribe("s", heard)
        with Events(store).subscribe("other", Heard()):
            began(store, "s", "other")
            publish(store, 1)
            wait(lambda: heard.bodies == [1], "the first one goes on")
    with Events(store).subscribe("s", heard):
        publish(store, 2)
        wait(lambda: heard.bodies == [1, 2], "the name is free once it is closed")


def test_closing_has_a_limit(store: Store) -> None:
    release = threading.Event()
    entered = threading.Event()

    def handler(_: Sequence[Event]) -> None:
        entered.set()
        release.wait(LIMIT_S)

    subscription = Events(store).subscribe("s", handler)
    began(store, "s")
    publish(store, "a")
    assert entered.wait(LIMIT_S)
    with pytest.raises(WaitTimeout):
        subscription.close(timeout=0.1)
    release.set()
    subscription.close()


def test_a_store_that_closes_ends_its_subscribers(store: Store) -> None:
    subscription = Events(store).subscribe("s", Heard())
    store.close()
    subscription.close(timeout=LIMIT_S)
