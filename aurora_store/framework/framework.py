"""A framework that outlives its scheduler: a store, an election and pymesos in one life cycle."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aurora_store.election import Candidate, CandidateState, Election
from aurora_store.errors import (
    LeadershipLost,
    NotLeader,
    StoreClosed,
    StoreError,
    WaitTimeout,
)
from aurora_store.framework.driver import Driver
from aurora_store.framework.lifecycle import (
    FrameworkState,
    FrameworkStatus,
    Lifecycle,
    Takeover,
    Transition,
)
from aurora_store.framework.registration import Registration
from aurora_store.framework.reign import Counts, Reign
from aurora_store.framework.scheduler import Scheduler
from aurora_store.framework.services import Service, Services
from aurora_store.log.members import Address
from aurora_store.status import LeadTiming
from aurora_store.store import Store

_WEEK_S = 7 * 24 * 3600.0
_LOOK_EVERY_S = 0.05
_ENDS = (FrameworkState.CLOSED, FrameworkState.FAILED)


class Framework:
    """One candidate for running a Mesos framework: a warm standby, or the scheduler.

        framework = Framework(
            store, election, MyScheduler(), info={"name": "mine", "user": "nobody"}, master=...
        )
        framework.run()

    Args:
        store: stays the caller's: `close` leaves it open.
        election: belongs to the framework.
        scheduler: its callbacks are called while this candidate leads.
        info: Mesos's ``FrameworkInfo``, with ``name`` and ``user``. Unless it says otherwise the
            ``failover_timeout`` is a week and agents checkpoint. Its name is the key of the id in
            the store; do not change it.
        master: ``host:port``, or ``zk://host:port,.../path``.
        services: run while this candidate is active; started in order, stopped in reverse.
        on_change: called with each transition of the life cycle; it should return soon.
        registration_timeout: a leader that is not registered after so many seconds, or lost its
            master for as long, lets another candidate try.
        service_timeout: how long each service may take to start and to stop, in seconds.
        forget: an id that is to be given up for a new one, because the master has removed it.
        leave: end with `LeadershipLost` when leadership is lost, instead of standing again.
        principal, secret: for a master that authenticates frameworks.

    Raises:
        ValueError: `info` or `master` will not do.
    """

    def __init__(
        self,
        store: Store,
        election: Election,
        scheduler: Scheduler,
        *,
        info: Mapping[str, Any],
        master: str,
        services: Sequence[Service] = (),
        on_change: Callable[[Transition], object] = lambda transition: None,
        registration_timeout: float = 60.0,
        service_timeout: float = 30.0,
        forget: str | None = None,
        leave: bool = False,
        principal: str | None = None,
        secret: str | None = None,
    ) -> None:
        self._info = _checked(info)
        self._master = master if master.startswith("zk://") else str(Address.parse(master))
        self._store = store
        self.scheduler = scheduler
        """The one that was given."""
        self._registration_timeout = registration_timeout
        self._forget = forget
        self._leave = leave
        self._credentials = {"principal": principal, "secret": secret}
        self._services = Services(services, limit=service_timeout)
        self._registration = Registration(store, self._info["name"])
        self._lifecycle = Lifecycle(self._info["name"], on_change)
        self._closing = threading.Event()
        # Changed by the candidate's thread alone:
        self._reign: Reign | None = None
        self._failure: StoreError | None = None
        self._takeover: Takeover | None = None
        self._reigns = 0
        self._counted = Counts()  # of the reigns before
        self.candidate = Candidate(
            store, election, on_leading=self._on_leading, on_standby=self._on_standby
        )
        """For `Candidate.leader`, `Candidate.transfer` and the like."""

    # ---- for any thread ----

    def start(self) -> None:
        """Stands for election from now on.

        Raises:
            ElectionUnavailable: ZooKeeper cannot be reached, or rights are missing.
        """
        self._lifecycle.enter(FrameworkState.STANDBY)
        self.candidate.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the framework has ended; false if it has not after `timeout` seconds.

        Raises:
            FrameworkRemoved: the master has removed the framework; see the hint.
            RegistrationRefused: the master refuses it for another reason.
            LeadershipLost: it ended with its first reign, as `leave` says.
            StoreClosed: the store was closed.
        """
        return self._await(*_ENDS, timeout=timeout)

    def wait_active(self, *, timeout: float = 60.0) -> Takeover:
        """Waits until this candidate is active.

        Raises:
            WaitTimeout: it is not after `timeout` seconds; the message says what it is.
            FrameworkRemoved, RegistrationRefused, LeadershipLost, StoreClosed: as `wait`.
        """
        self._await(FrameworkState.ACTIVE, *_ENDS, timeout=timeout)
        now = self.status
        if now.state is not FrameworkState.ACTIVE or now.takeover is None:
            why = "; ".join(filter(None, (now.reason, now.problem, now.unfit)))
            raise WaitTimeout(
                f"the framework {self._info['name']} is not active after {timeout:g} s:"
                f" {now.state.value}{': ' if why else ''}{why}"
            )
        return now.takeover

    def run(self) -> None:
        """Starts, and returns when SIGTERM or SIGINT has come and all is stopped in good order.

        For the main thread. Raises as `start` and `wait`.
        """
        ask = threading.Event()
        old = {
            number: signal.signal(number, lambda _number, _frame: ask.set())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            self.start()
            while not ask.is_set() and not self.wait(_LOOK_EVERY_S):
                pass
        finally:
            self.close()
            for number, handler in old.items():
                signal.signal(number, handler)

    def close(self, *, timeout: float = 60.0) -> None:
        """Leaves: a leader's driver stops with failover, and the next candidate takes over.

        Idempotent.

        Raises:
            WaitTimeout: a callback or a service has not returned.
        """
        self._closing.set()
        self.candidate.close(timeout=timeout)
        if self._lifecycle.state not in _ENDS:
            self._lifecycle.enter(FrameworkState.CLOSED)

    def __enter__(self) -> Framework:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def driver(self) -> Driver:
        """The driver of this reign, for threads of the application.

        Raises:
            NotLeader: this candidate is not active.
        """
        reign = self._reign
        if reign is None or self._lifecycle.state is not FrameworkState.ACTIVE:
            raise NotLeader(f"the framework is {self._lifecycle.state.value} here, not active")
        return reign.driver

    @property
    def status(self) -> FrameworkStatus:
        """What it is doing."""
        transitions = self._lifecycle.transitions
        reign, counts = self._reign, self._counts()
        connected = reign is not None and reign.driver.disconnected_since is None
        return FrameworkStatus(
            state=transitions[-1].state,
            reason=transitions[-1].reason,
            state_s=max(0.0, time.time() - transitions[-1].at),
            unfit=self.candidate.status.unfit,
            framework_id=self._known_id(),
            master=reign.driver.master if reign is not None and connected else None,
            problem=reign.driver.problem if reign is not None and not connected else "",
            reigns=self._reigns,
            takeover=self._takeover,
            updates_recorded=counts.recorded,
            updates_acknowledged=counts.acknowledged,
            callbacks_failed=counts.failed,
            events_queued=0 if reign is None else reign.callbacks.queued,
            transitions=transitions,
        )

    def _await(self, *states: FrameworkState, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._lifecycle.wait(*states, timeout=_LOOK_EVERY_S):
            if deadline is not None and time.monotonic() > deadline:
                return False
            now = self.candidate.status
            if now.state is CandidateState.CLOSED and not self._closing.is_set():
                raise StoreClosed(f"the framework stands no more: {now.reason}")
        if self._failure is not None:
            raise self._failure
        return True

    def _known_id(self) -> str | None:
        try:
            return self._registration.read()
        except StoreError:
            return None  # the store says why, in its own status

    def _counts(self) -> Counts:
        reign, before = self._reign, self._counted
        if reign is None:
            return before
        return Counts(*(old + new for old, new in zip(before, reign.counts, strict=True)))

    # ---- the candidate's thread ----

    def _on_leading(self, timing: LeadTiming) -> None:
        caught_up_s = timing.catch_up_s + timing.leader_entry_s
        self._lifecycle.enter(FrameworkState.ELECTED, ago_s=timing.election_s + caught_up_s)
        self._lifecycle.enter(FrameworkState.CATCHING_UP, ago_s=caught_up_s)
        self._lifecycle.enter(FrameworkState.REGISTERING, f"at {self._master}")
        begun = time.monotonic()
        self._reign = Reign(
            self._store,
            self.scheduler,
            self._registration,
            info=self._info,
            master=self._master,
            credentials=self._credentials,
            limit=self._registration_timeout,
        )
        self._reign.begin(forget=self._forget)
        self._reign.await_registration(self._closing)
        registered = time.monotonic()
        self._lifecycle.enter(FrameworkState.STARTING)
        self._services.start()
        self._reigns += 1
        self._takeover = Takeover(
            timing.election_s, caught_up_s, registered - begun, time.monotonic() - registered
        )
        self._lifecycle.enter(FrameworkState.ACTIVE)

    def _on_standby(self, reason: str) -> None:
        reign = self._reign
        reason = reign.over if reign is not None and reign.over else reason
        self._lifecycle.enter(FrameworkState.STOPPING, reason)
        if reign is not None:
            reign.stop_driver()
            self._services.stop()
            reign.stop_callbacks()
            self._failure = reign.refused
            self._counted = self._counts()
            self._reign = None
        if self._leave and self._failure is None and not self._closing.is_set():
            self._failure = LeadershipLost(f"this candidate leads no more: {reason}")
        if self._failure is not None:
            self.candidate.close()
            self._lifecycle.enter(FrameworkState.FAILED, self._failure.message)
        else:
            self._lifecycle.enter(FrameworkState.STANDBY, reason)


def _checked(info: Mapping[str, Any]) -> dict[str, Any]:
    missing = [key for key in ("name", "user") if not info.get(key)]
    if missing:
        raise ValueError(f"the FrameworkInfo needs {' and '.join(missing)}")
    if "id" in info:
        raise ValueError("the id of a framework is kept in the store: leave it out")
    checked = {"failover_timeout": _WEEK_S, "checkpoint": True, **info}
    if not checked["failover_timeout"] > 0:
        raise ValueError(
            "without a failover_timeout, in seconds, Mesos ends every task when a leader dies"
        )
    return checked
