"""Events in a table, and those who hear of them: see `aurora_store.events`."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from aurora_store.errors import StoreClosed, StoreError, WaitTimeout
from aurora_store.status import State

if TYPE_CHECKING:
    from aurora_store.migrations import Schema
    from aurora_store.store import Store

__all__ = ["REVISIONS", "Event", "Events", "Subscription", "metadata"]

_logger = logging.getLogger("aurora_store.events")

_AT_ONCE: Final = 500  # events, so that a list and its transaction stay small
_DELETED_AT_ONCE: Final = 10_000
_SAVE_EVERY_S: Final = 1.0
_READ_EVERY_S: Final = 0.005  # most commits of a busy store publish nothing
_LOOK_EVERY_S: Final = 0.25  # how soon a change of roles or the end is noticed
_RETRY_S: Final = (0.1, 10.0)  # after a handler failed: at first, and at most

_names: Final[WeakKeyDictionary[Store, set[str]]] = WeakKeyDictionary()
"""Of the subscriptions that there are: two of a name would move each other's cursor."""
_naming: Final = threading.Lock()

REVISIONS: Final = Path(__file__).with_name("versions")
"""The directory of the revisions of these tables: see `aurora_store.migrations`."""

metadata = MetaData()
"""The tables, as the revisions make them."""

_event: Final = Table(
    "aurora_store_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("topic", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # an id is never given twice: cursors outlive deleted events
)
_subscriber: Final = Table(
    "aurora_store_subscriber",
    metadata,
    Column("name", String, primary_key=True),
    Column("cursor", Integer, nullable=False),
)


@cache
def _schema() -> Schema:
    from aurora_store.migrations import Schema

    return Schema(REVISIONS)


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        id: ascending in the order of the commits, with gaps; what a cursor points to.
        topic: what it is about.
        body: what was published, out of JSON.
    """

    id: int
    topic: str
    body: Any


Handler = Callable[[Sequence[Event]], None]
Loader = Callable[[Connection], None]


class Events:
    """The events of one store. Any thread may use it; cheap to make."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create_tables(self, connection: Connection) -> None:
        """Applies the revisions of the tables that the database lacks, in the transaction.

        Before the first event, unless the store has a schema with `aurora_store.events.REVISIONS`.

        Raises:
            SchemaMismatch, MigrationFailed: see `aurora_store.migrations.Schema.upgrade`.
        """
        _schema().upgrade(connection)

    def publish(self, connection: Connection, topic: str, body: Any) -> None:
        """Tells of a change, if and when `connection`'s transaction is durable.

        Args:
            body: anything that `json` can write.
        """
        data = json.dumps(body, separators=(",", ":")).encode()
        connection.execute(insert(_event), {"topic": topic, "body": data})

    def read(self, connection: Connection, *, after: int, limit: int = _AT_ONCE) -> list[Event]:
        """The first events after a cursor that the connection can see; for cursors of one's own."""
        rows = connection.execute(
            select(_event.c.id, _event.c.topic, _event.c.body)
            .where(_event.c.id > after)
            .order_by(_event.c.id)
            .limit(limit)
        )
        return [Event(row.id, row.topic, json.loads(row.body)) for row in rows]

    def newest(self, connection: Connection) -> int:
        """The cursor behind all events that the connection can see."""
        found = connection.exec_driver_sql(
            "SELECT seq FROM sqlite_sequence WHERE name = 'aurora_store_event'"
        ).scalar()
        return 0 if found is None else int(found)

    def subscribe(
        self, name: str, handler: Handler, *, current: Loader | None = None
    ) -> Subscription:
        """Has `handler` called with events, in order, while this replica leads.

        Every replica of a scheduler subscribes by the same name. A thread calls `handler` with a
        list of events, and with the same ones again, after a pause that grows, if it raises. What
        it was given before a failover it may be given again after it.

        Args:
            name: of the cursor. A name that is new begins with what happens from now on.
            current: called at the beginning of each reign, with a connection that reads, to learn
                the state as it is; events from behind that state on follow. Without it the events
                follow from the saved cursor on.

        Raises:
            ValueError: the name is empty, or this store has a subscriber of that name: close it.
        """
        if not isinstance(name, str) or not name:
            raise ValueError(f"the name of a subscriber is a text that is not empty, not {name!r}")
        if not callable(handler):
            raise TypeError(
                f"the handler of subscriber '{name}' is called with events: not {handler!r}"
            )
        return Subscription(self._store, self, name, handler, current)

    def forget(self, name: str) -> None:
        """Deletes a subscriber's cursor: its events need not be kept for it any more.

        Raises:
            NotLeader, WriterBusy and what a commit may raise.
        """
        with self._store.begin() as connection:
            connection.execute(delete(_subscriber).where(_subscriber.c.name == name))

    def backlog(self) -> dict[str, int]:
        """How far behind the newest event each subscriber's saved cursor is, in ids."""
        with self._store.read() as connection:
            newest = self.newest(connection)
            rows = connection.execute(select(_subscriber.c.name, _subscriber.c.cursor))
            return {name: newest - cursor for name, cursor in rows}

    def add_subscriber(self, connection: Connection, name: str) -> None:
        """Gives a name a cursor, unless it has one, behind all that `connection` can see.

        `subscribe` does so at the beginning of a reign; this is for the transaction from which on
        nothing is to be missed.
        """
        row = {"name": name, "cursor": self.newest(connection)}
        connection.execute(upsert(_subscriber).on_conflict_do_nothing(), row)

    def cursor(self, name: str) -> int:
        """The saved cursor; that of a new name is made, behind all there is. For the leader."""
        with self._store.begin() as connection:
            self.create_tables(connection)
            self.add_subscriber(connection, name)
            found = select(_subscriber.c.cursor).where(_subscriber.c.name == name)
            return int(connection.execute(found).scalar_one())

    def save(self, name: str, cursor: int) -> None:
        """Saves a cursor, and deletes the events that every subscriber is past. For the leader."""
        with self._store.begin() as connection:
            connection.execute(
                upsert(_subscriber).on_conflict_do_update(
                    index_elements=["name"], set_={"cursor": cursor}
                ),
                {"name": name, "cursor": cursor},
            )
            past = select(func.min(_subscriber.c.cursor)).scalar_subquery()
            first = select(func.min(_event.c.id)).scalar_subquery()
            connection.execute(
                delete(_event).where(_event.c.id <= past, _event.c.id < first + _DELETED_AT_ONCE)
            )


class Subscription:
    """A thread that hands events on. Made by `Events.subscribe`.

    As a context manager it closes at the end of the block.
    """

    def __init__(
        self, store: Store, events: Events, name: str, handler: Handler, current: Loader | None
    ) -> None:
        self._store = store
        self._events = events
        self._name = name
        self._handler = handler
        self._current = current
        self._closing = threading.Event()
        self.delivered = 0
        """Events that the handler has taken."""
        self.failures = 0
        """Calls of the handler, or of `current`, that raised."""
        with _naming:
            names = _names.setdefault(store, set())
            if name in names:
                raise ValueError(f"a subscriber '{name}' is there already: close it first")
            names.add(name)
        self._thread = threading.Thread(target=self._run_named, name=f"events {name}", daemon=True)
        self._thread.start()

    def close(self, *, timeout: float = 30.0) -> None:
        """Ends it, once the handler has returned, and saves the cursor. Idempotent.

        Raises:
            WaitTimeout: the handler has not returned within `timeout` seconds.
        """
        self._closing.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise WaitTimeout(f"subscriber '{self._name}' has not ended within {timeout:g} s")

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_named(self) -> None:
        try:
            self._run()
        finally:
            with _naming:
                _names[self._store].discard(self._name)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                status = self._store.status()
                if status.state is State.CLOSED:
                    return
                if status.state is State.LEADING:
                    self._follow(status.epoch)
                else:
                    self._store.wait_state_change(status.state, timeout=_LOOK_EVERY_S)
            except StoreClosed:
                return
            except StoreError as error:  # the reign is over, or the write lock was not to be had
                _logger.info("subscriber '%s' pauses: %s", self._name, error)
                self._closing.wait(_LOOK_EVERY_S)

    def _follow(self, epoch: int) -> None:
        """Hands events on while the reign lasts."""
        cursor = saved = self._events.cursor(self._name)
        if self._current is not None:
            loaded = self._load(self._current, epoch)
            if loaded is None:
                return
            cursor = loaded
        save_at = time.monotonic() + _SAVE_EVERY_S
        while not self._closing.is_set():
            position = self._store.position
            if not self._leads(epoch):
                return
            with self._store.read() as connection:
                events = self._events.read(connection, after=cursor)
            if events:
                if not self._tried(partial(self._handler, events), epoch):
                    break
                self.delivered += len(events)
                cursor = events[-1].id
            if cursor != saved and time.monotonic() >= save_at:
                self._events.save(self._name, cursor)
                saved, save_at = cursor, time.monotonic() + _SAVE_EVERY_S
            elif not events:
                self._wait(position + 1)
        if cursor != saved:
            self._events.save(self._name, cursor)

    def _leads(self, epoch: int) -> bool:
        status = self._store.status()
        return status.state is State.LEADING and status.epoch == epoch

    def _wait(self, position: int) -> None:
        self._closing.wait(_READ_EVERY_S)
        with suppress(WaitTimeout):
            self._store.wait_for(position, timeout=_LOOK_EVERY_S)

    def _load(self, current: Loader, epoch: int) -> int | None:
        """Has the state read; returns the cursor behind it, or none if it came to nothing."""
        cursor = 0

        def load() -> None:
            nonlocal cursor
            with self._store.read() as connection:
                cursor = self._events.newest(connection)
                current(connection)

        return cursor if self._tried(load, epoch) else None

    def _tried(self, call: Callable[[], None], epoch: int) -> bool:
        """Calls until it does not raise; False if this closes, or the reign ends, before."""
        pause, longest = _RETRY_S
        while True:
            try:
                call()
                return True
            except Exception as error:
                if isinstance(error, StoreError) and not self._leads(epoch):
                    raise  # the reign is over: no failure of the handler's
                self.failures += 1
                _logger.exception(
                    "subscriber '%s' failed, and is called again in %g s", self._name, pause
                )
            if self._closing.wait(pause) or not self._leads(epoch):
                return False
            pause = min(2 * pause, longest)
