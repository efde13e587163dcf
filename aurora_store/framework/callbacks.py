"""Events of Mesos, handled in batches: one transaction, then its calls and acknowledgements.

The driver's thread puts events into a queue. A second thread takes all that has gathered, has the
scheduler handle it within one transaction, and, when that is durable, sends what was asked for and
acknowledges the status updates. While a commit waits for a quorum the next batch gathers.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import pymesos

from aurora_store.errors import (
    CommitOutcomeUnknown,
    Corrupt,
    LeadershipLost,
    LogUnavailable,
    NotLeader,
    StoreClosed,
    WriterBusy,
)
from aurora_store.framework.driver import Driver
from aurora_store.framework.registration import Registration
from aurora_store.framework.scheduler import Scheduler

_T = TypeVar("_T")

_logger = logging.getLogger("aurora_store.framework")

BATCH = 1000
"""At most so many events share a transaction."""

_LOOK_EVERY_S = 0.1
_RECONCILE_AFTER_S = 1.0
_REGISTRATIONS = ("registered", "reregistered")
_TOGETHER = ("resourceOffers", "statusUpdates")
_OVER = (NotLeader, LeadershipLost, CommitOutcomeUnknown, StoreClosed, LogUnavailable, Corrupt)


class Event(NamedTuple):
    """One callback of pymesos's scheduler, without the driver."""

    callback: str
    arguments: tuple[Any, ...]


_RECONCILE = Event("openTasks", ())


class Callbacks(pymesos.Scheduler):  # type: ignore[misc]  # pymesos has no types
    """A scheduler's callbacks during one reign. pymesos's methods put events into the queue.

    Args:
        scheduler: the author's.
        registration: where the framework's id is kept.
        on_over: called once, with the reason, when the reign is over as far as the store knows.
        on_registered: called after each registration, once the scheduler has handled it.
        look: called ten times a second, to see to what has a limit.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        registration: Registration,
        *,
        on_over: Callable[[str], None],
        on_registered: Callable[[], None],
        look: Callable[[], None],
    ) -> None:
        self._scheduler = scheduler
        self._registration = registration
        self._on_over = on_over
        self._on_registered = on_registered
        self._look = look
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._reconcile_at: float | None = None
        self._thread: threading.Thread | None = None
        # Written by the callbacks' thread alone:
        self.recorded = 0
        """Status updates whose transaction is durable."""
        self.acknowledged = 0
        """Status updates whose acknowledgement the master took."""
        self.failed = 0
        """Callbacks that raised."""

    def start(self, driver: Driver) -> None:
        """Handles events from now on."""
        driver.on_lost_call = self._lost_call
        self._thread = threading.Thread(
            target=self._run, args=(driver,), name="framework callbacks", daemon=True
        )
        self._thread.start()

    def stop(self, *, limit: float) -> bool:
        """Handles no more events. False if a callback has not returned within `limit` seconds."""
        self._stopping.set()
        if self._thread is None or self._thread is threading.current_thread():
            return True
        self._thread.join(limit)
        return not self._thread.is_alive()

    def _lost_call(self) -> None:
        # What became of the tasks that it was about is soon asked for, but not in a frenzy.
        self._reconcile_at = time.monotonic() + _RECONCILE_AFTER_S

    @property
    def queued(self) -> int:
        """Events that wait."""
        return self._queue.qsize()

    # ---- the driver's thread ----

    def _put(self, callback: str, *arguments: Any) -> None:
        self._queue.put(Event(callback, arguments))

    def registered(self, _driver: Driver, framework_id: Any, master: Any) -> None:
        self._put("registered", framework_id, master)

    def reregistered(self, _driver: Driver, master: Any) -> None:
        self._put("reregistered", master)

    def disconnected(self, _driver: Driver) -> None:
        self._put("disconnected")

    def resourceOffers(self, _driver: Driver, offers: list[Any]) -> None:  # noqa: N802
        for offer in offers:
            self._put("resourceOffers", offer)

    def inverseOffers(self, _driver: Driver, offers: list[Any]) -> None:  # noqa: N802
        self._put("inverseOffers", offers)

    def offerRescinded(self, _driver: Driver, offer_id: Any) -> None:  # noqa: N802
        self._put("offerRescinded", offer_id)

    def inverseOfferRescinded(self, _driver: Driver, offer_id: Any) -> None:  # noqa: N802
        self._put("inverseOfferRescinded", offer_id)

    def statusUpdate(self, _driver: Driver, update: Any) -> None:  # noqa: N802
        self._put("statusUpdates", update)

    def operationStatusUpdate(self, _driver: Driver, update: Any) -> None:  # noqa: N802
        self._put("operationStatusUpdate", update)

    def frameworkMessage(  # noqa: N802
        self, _driver: Driver, executor_id: Any, agent_id: Any, data: Any
    ) -> None:
        self._put("frameworkMessage", executor_id, agent_id, data)

    def slaveLost(self, _driver: Driver, agent_id: Any) -> None:  # noqa: N802
        self._put("slaveLost", agent_id)

    def executorLost(  # noqa: N802
        self, _driver: Driver, executor_id: Any, agent_id: Any, status: Any
    ) -> None:
        self._put("executorLost", executor_id, agent_id, status)

    # ---- the callbacks' thread ----

    def _run(self, driver: Driver) -> None:
        try:
            while not self._stopping.is_set():
                self._look()
                for batch in batches(self._take()):
                    self._handle(driver, batch)
        except _OVER as exc:
            self._on_over(exc.message)
        except Exception as exc:
            _logger.exception("the thread of the callbacks")
            self._on_over(f"unexpected {exc!r}")

    def _take(self) -> list[Event]:
        """All that has gathered, after waiting for a while if nothing has."""
        taken: list[Event] = []
        if self._reconcile_at is not None and time.monotonic() > self._reconcile_at:
            self._reconcile_at = None
            taken.append(_RECONCILE)
        try:
            taken.append(self._queue.get(timeout=_LOOK_EVERY_S))
            while len(taken) < BATCH:
                taken.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return taken

    def _handle(self, driver: Driver, batch: list[Event]) -> None:
        registered = batch[0].callback in _REGISTRATIONS
        if registered:
            # Durable before anything that is written or sent for this framework.
            framework_id = driver.framework_id
            new = self._patiently(lambda: self._registration.save(framework_id))
            how = "registered" if new else "registered again"
            _logger.info("%s as %s at %s", how, framework_id, driver.master)
            batch = [batch[0], _RECONCILE, *batch[1:]]
        if not self._attempt(driver, batch) and len(batch) > 1:
            for event in batch:
                self._attempt(driver, [event])
        if registered:
            self._on_registered()

    def _attempt(self, driver: Driver, batch: list[Event]) -> bool:
        """Handles events in one transaction; false if a callback raised, and nothing was done."""
        try:
            self._patiently(lambda: self._call(driver, batch))
        except _OVER:
            raise
        except Exception:
            if len(batch) == 1:
                self._give_up_on(driver, batch[0])
            return False
        updates = [event.arguments[0] for event in batch if event.callback == "statusUpdates"]
        self.recorded += len(updates)
        self.acknowledged += driver.acknowledge([each for each in updates if "uuid" in each])
        return True

    def _call(self, driver: Driver, batch: list[Event]) -> None:
        with driver.transaction():
            for callback, events in groupby(batch, key=lambda event: event.callback):
                if callback in _TOGETHER:
                    together = [event.arguments[0] for event in events]
                    getattr(self._scheduler, callback)(driver, together)
                elif callback == _RECONCILE.callback:
                    tasks = list(self._scheduler.openTasks(driver))
                    if tasks:
                        driver.reconcileTasks(tasks)
                    driver.reconcileTasks([])  # and all that Mesos knows
                else:
                    for event in events:
                        getattr(self._scheduler, callback)(driver, *event.arguments)

    def _give_up_on(self, driver: Driver, event: Event) -> None:
        self.failed += 1
        _logger.exception("%s raised, and was undone: %s", event.callback, event.arguments)
        if event.callback == "resourceOffers":
            driver.declineOffer(event.arguments[0]["id"])

    def _patiently(self, action: Callable[[], _T]) -> _T:
        """Does something that writes, again as long as somebody else keeps the write lock."""
        while True:
            try:
                return action()
            except WriterBusy as exc:
                if self._stopping.is_set():
                    raise NotLeader("the reign is over") from exc
                _logger.warning("%s; trying again", exc.message)


def batches(taken: list[Event]) -> list[list[Event]]:
    """Parts that may share a transaction, without offers that are void already.

    A registration begins a part. A disconnection voids every offer before it, a rescission one.
    """
    parts: list[list[Event]] = []
    void: set[str] = set()
    all_void = False
    for event in reversed(taken):
        if event.callback == "offerRescinded":
            void.add(event.arguments[0]["value"])
        all_void = all_void or event.callback == "disconnected"
        if event.callback == "resourceOffers" and (
            all_void or event.arguments[0]["id"]["value"] in void
        ):
            continue
        if not parts or parts[-1][-1].callback in _REGISTRATIONS:
            parts.append([])
        parts[-1].append(event)
    return [part[::-1] for part in reversed(parts)]
