"""What there is for one reign alone: the driver, the callbacks, and why it should end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from aurora_store.errors import LeadershipLost, RegistrationRefused, StoreError, WaitTimeout
from aurora_store.framework.callbacks import Callbacks
from aurora_store.framework.driver import Driver
from aurora_store.framework.registration import Registration
from aurora_store.framework.scheduler import Scheduler
from aurora_store.status import State
from aurora_store.store import Store

_logger = logging.getLogger("aurora_store.framework")

_LOOK_EVERY_S = 0.05
_CALLBACK_LIMIT_S = 10.0


class Counts(NamedTuple):
    """Of status updates recorded and acknowledged, and of callbacks that failed."""

    recorded: int = 0
    acknowledged: int = 0
    failed: int = 0


class Reign:
    """Begun and stopped by one thread, ended by any.

    Args:
        store: that leads.
        scheduler: the author's.
        registration: of the framework in the store.
        info, master, credentials: for the driver.
        limit: without a registration for so many seconds the reign ends.
    """

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        registration: Registration,
        *,
        info: dict[str, Any],
        master: str,
        credentials: Mapping[str, str | None],
        limit: float,
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._registration = registration
        self._limit = limit
        self._registered = threading.Event()
        self._stopped = False
        self.over = ""
        """Why it should end, if something here found out."""
        self.refused: RegistrationRefused | None = None
        """Why no reign of this framework makes sense any more."""
        self.callbacks = Callbacks(
            scheduler,
            registration,
            on_over=self.on_deposed,
            on_registered=self._registered.set,
            look=self._look,
        )
        self.driver = Driver(
            store,
            self.callbacks,
            info=info,
            master=master,
            claim=registration.claim,
            listener=self,
            **credentials,
        )

    def begin(self, *, forget: str | None) -> None:
        """Prepares the tables, and starts the driver.

        Raises:
            StoreError: the store, or ZooKeeper, does not let it.
            Exception: whatever the scheduler's `prepare` raises.
        """
        self._registration.prepare(forget=forget)
        with self.driver.transaction():
            self._scheduler.prepare(self.driver)
        self.callbacks.start(self.driver)
        self.driver.start()

    def await_registration(self, closing: threading.Event) -> None:
        """Returns once the framework is registered and its id is durable.

        Raises:
            RegistrationRefused: the master will not have it.
            LeadershipLost: this replica does not lead any more, or `closing` was set.
            WaitTimeout: it took too long; the message says why.
        """
        deadline = time.monotonic() + self._limit
        while not self._registered.wait(_LOOK_EVERY_S):
            if self.refused is not None:
                raise self.refused
            if closing.is_set():
                raise LeadershipLost("closed while it was registering")
            if self.over or self._store.status().state is not State.LEADING:
                raise LeadershipLost(self.over or self._store.status().reason)
            if time.monotonic() > deadline:
                raise WaitTimeout(self._not_registered())

    def stop_driver(self) -> None:
        """Stops the driver with failover: nothing is heard or sent any more."""
        self._stopped = True
        self.driver.stop()

    def stop_callbacks(self) -> None:
        """Waits until the callback that is under way has returned, up to ten seconds."""
        if not self.callbacks.stop(limit=_CALLBACK_LIMIT_S):
            _logger.error(
                "a callback of the scheduler has not returned %g s after the end of its reign;"
                " going on without it",
                _CALLBACK_LIMIT_S,
            )

    @property
    def counts(self) -> Counts:
        """Of this reign."""
        callbacks = self.callbacks
        return Counts(callbacks.recorded, callbacks.acknowledged, callbacks.failed)

    # ---- the threads of the driver and of the callbacks ----

    def on_deposed(self, reason: str) -> None:
        """The reign is over as far as the store knows; it may have to be told."""
        self._end(reason)

    def on_refused(self, error: RegistrationRefused) -> None:
        """The master will not have the framework."""
        self.refused = error
        self._end(error.message)

    def _look(self) -> None:
        since = self.driver.disconnected_since
        registered = self._registered.is_set()
        if registered and since is not None and time.monotonic() - since > self._limit:
            self._end(self._not_registered())

    def _end(self, reason: str) -> None:
        if self._stopped or self.over:
            return
        self.over = reason
        try:
            self._store.step_down()  # the candidate's thread notices, and ends the reign
        except StoreError as exc:
            _logger.warning("%s", exc.message)

    def _not_registered(self) -> str:
        return f"not registered with a Mesos master for {self._limit:g} s: {self.driver.problem}"
