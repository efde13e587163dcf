"""A store that stands for election: standby, leader, standby ... in one thread.

    candidate = Candidate(store, election, on_leading=begin_work, on_standby=end_work)
    candidate.start()

Each reign begins with `on_leading` and ends with `on_standby`, both called by that thread, one
after the other. Losing leadership ends neither the process nor the candidate: it stands again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from aurora_store.election.election import Election, Handover, Request
from aurora_store.election.member import Leader
from aurora_store.errors import (
    ElectionUnavailable,
    HandoverFailed,
    NotLeader,
    StoreClosed,
    StoreError,
    WaitTimeout,
)
from aurora_store.status import LeadTiming, State
from aurora_store.store import Store

_logger = logging.getLogger("aurora_store.election")

_MOST_LAG = 1000  # entries; a standby that is further behind does not stand
_LOOK_EVERY_S = 0.25  # at the store, while standing
_WATCH_S = 0.05  # slices of watching the store while leading
_TAKEOVER_LIMIT_S = 10.0  # for the next leader, after a hand-over
_PAUSE_S = (0.5, 1.5)  # after a reign or a failed attempt: others go first


class CandidateState(Enum):
    """``new -> standby -> taking over -> leading -> standby ... -> closed``."""

    NEW = "new"
    STANDBY = "standby"
    TAKING_OVER = "taking over"
    LEADING = "leading"
    HANDING_OVER = "handing over"
    CLOSED = "closed"


@dataclass(frozen=True)
class CandidateStatus:
    """What a candidate is doing at one moment.

    Attributes:
        state: see `CandidateState`.
        reason: why it is in this state.
        unfit: why its replica must not lead, so that it does not stand; empty if it does.
        since: when it came into this state, by `time.monotonic`.
        reigns: how often it has led.
        timing: of the reign that is on, or of the last one.
    """

    state: CandidateState
    reason: str
    unfit: str
    since: float
    reigns: int
    timing: LeadTiming | None


class _Transfer:
    """A hand-over that a thread of this process waits for."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.done = threading.Event()
        self.outcome: Handover | StoreError | None = None


class Candidate:
    """Ties a store to an election. Any thread may use it.

    Args:
        store: stays the caller's: `close` leaves it open.
        election: belongs to this candidate, which starts and closes it.
        on_leading: called when this replica leads; the others are told that it does once this has
            returned. Its reign may end while it runs; what it writes then raises `LeadershipLost`
            or `NotLeader`. An exception ends the reign.
        on_standby: called with the reason once a reign has ended, always after its `on_leading`.
        lead_timeout: how long `Store.lead` may take, in seconds.
    """

    def __init__(
        self,
        store: Store,
        election: Election,
        *,
        on_leading: Callable[[LeadTiming], object] = lambda timing: None,
        on_standby: Callable[[str], object] = lambda reason: None,
        lead_timeout: float = 10.0,
    ) -> None:
        self.store = store
        self.election = election
        self._on_leading = on_leading
        self._on_standby = on_standby
        self._lead_timeout = lead_timeout
        self._thread = threading.Thread(
            target=self._run, name=f"candidate {election.member.name}", daemon=True
        )
        self._news = threading.Event()
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._complaint = ""  # the last one that was logged; of the thread alone
        self._handing: tuple[Request, float] | None = None  # until when; of the thread alone
        # Guarded by _changed:
        self._status = CandidateStatus(CandidateState.NEW, "", "", time.monotonic(), 0, None)
        self._transfer: _Transfer | None = None

    # ---- for any thread ----

    def start(self) -> None:
        """Stands for election from now on.

        Raises:
            ElectionUnavailable: ZooKeeper cannot be reached, or rights are missing.
        """
        self.election.start(self._news.set)
        self.store.under_election = True
        self._thread.start()

    def close(self, *, timeout: float = 30.0) -> None:
        """Leaves the election; a leader steps down once every commit is durable. Idempotent.

        Raises:
            WaitTimeout: the candidate's thread is still busy, most likely in a callback.
        """
        self._closing.set()
        self._news.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise WaitTimeout(
                    f"{self._name} is still {self.status.state.value} after {timeout:g} s:"
                    " a callback, or the store, has not returned"
                )
        self.store.under_election = False
        self.election.close()

    def __enter__(self) -> Candidate:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def status(self) -> CandidateStatus:
        """What it is doing."""
        with self._changed:
            return self._status

    def leader(self) -> Leader | None:
        """Who leads, as last heard."""
        return self.election.leader()

    def wait_leading(self, *, timeout: float = 30.0) -> LeadTiming:
        """Waits until this candidate leads.

        Raises:
            WaitTimeout: it does not, after `timeout` seconds; the message says why.
            StoreClosed: it was closed.
        """
        over = (CandidateState.LEADING, CandidateState.CLOSED)
        with self._changed:
            self._changed.wait_for(lambda: self._status.state in over, timeout)
            now = self._status
        if now.state is CandidateState.CLOSED:
            raise StoreClosed(f"{self._name} was closed: {now.reason}")
        if now.state is not CandidateState.LEADING or now.timing is None:
            raise WaitTimeout(
                f"{self._name} does not lead after {timeout:g} s; it is"
                f" {': '.join(filter(None, (now.state.value, now.reason, now.unfit)))}"
            )
        return now.timing

    def transfer(self, to: str | None = None, *, timeout: float = 30.0) -> Handover:
        """Hands leadership over, with every published commit durable and acknowledged first.

        Transactions that wait in line get `NotLeader`, one that holds the write lock gets
        `LeadershipLost`: run them again on the new leader.

        Args:
            to: the name of who leads next; by default the first standby that is ready.
            timeout: how long to wait for it to have caught up, in seconds. Nothing changes before.

        Raises:
            NotLeader: this candidate does not lead.
            NoSuchCandidate: nobody of that name stands. This one goes on leading.
            HandoverFailed: no standby was ready in time, and this one goes on leading; or the one
                that was did not take over, and everybody stands again.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("transfer() waits for the thread that it was called by")
        if to == self.election.member.name:
            raise HandoverFailed(f"{to} leads already")
        transfer = _Transfer(Request(to, timeout, uuid.uuid4().hex))
        with self._changed:
            if self._status.state is not CandidateState.LEADING:
                raise NotLeader(f"{self._name} does not lead: it is {self._status.state.value}")
            if self._transfer is not None:
                raise HandoverFailed("another hand-over is under way")
            self._transfer = transfer
        limit = timeout + 2 * _TAKEOVER_LIMIT_S + self._lead_timeout
        if not transfer.done.wait(limit):
            raise HandoverFailed(f"no answer within {limit:g} s: a callback has not returned")
        if isinstance(transfer.outcome, Handover):
            return transfer.outcome
        assert transfer.outcome is not None
        raise transfer.outcome

    # ---- the candidate's thread ----

    def _run(self) -> None:
        reason = "closed"
        try:
            self._set(CandidateState.STANDBY, "")
            while not self._closing.is_set():
                if self._stand() and (timing := self._take_over()) is not None:
                    self._reign(timing)
        except StoreClosed as exc:
            reason = exc.message
        except Exception as exc:
            reason = f"unexpected {exc!r}"
            _logger.exception("%s stands no more", self._name)
        if self.status.state in (CandidateState.LEADING, CandidateState.HANDING_OVER):
            self._end_reign(reason)
        self._give_up()
        self._set(CandidateState.CLOSED, reason)
        self._answer(StoreClosed(f"{self._name} was closed: {reason}"))

    def _stand(self) -> bool:
        """Waits to be elected; false if closed first."""
        while not self._closing.is_set():
            self._news.clear()
            self._set_unfit(self._judge())
            look_every = _LOOK_EVERY_S
            try:
                if self.status.unfit:
                    self.election.give_up()
                elif self.election.seek(int(self.store.position)):
                    return True
                else:
                    look_every = min(look_every, self.election.look_every)
            except ElectionUnavailable as exc:
                self._complain(exc)
            self._news.wait(look_every)
        return False

    def _judge(self) -> str:
        """Why the replica must not lead; empty if it may."""
        status = self.store.status()
        if status.state is State.CLOSED:
            raise StoreClosed("the store was closed")
        if status.state is State.OPENING:
            return f"the replica still reads the log: {status.reason or 'for the first time'}"
        if status.state is State.FAILED:
            return f"the replica has failed: {status.reason}"
        lag = status.log_ending - status.position
        if lag > _MOST_LAG:
            return f"the replica is {lag} entries behind the log"
        return self.store.unfit()

    def _take_over(self) -> LeadTiming | None:
        self._set(CandidateState.TAKING_OVER, "elected")
        try:
            return self.store.lead(timeout=self._lead_timeout)
        except StoreClosed:
            raise
        except StoreError as exc:
            self._give_up()
            self._set(CandidateState.STANDBY, f"elected, but cannot lead: {exc.message}")
            self._pause()
            return None

    def _reign(self, timing: LeadTiming) -> None:
        self._set(CandidateState.LEADING, "", timing)
        epoch = self.store.status().epoch
        reason = self._begin(timing)
        if reason is None:
            self.election.advertise(epoch)
            reason = self._watch()
        if reason is not None:
            self._end_reign(reason)
        gone = HandoverFailed(f"{self._name} leads no more: {reason or 'it has handed over'}")
        if self._handing is not None:
            self._settle(gone)
        self._answer(gone)
        if reason is not None:
            self._pause()

    def _begin(self, timing: LeadTiming) -> str | None:
        try:
            self._on_leading(timing)
        except StoreError as exc:
            return exc.message
        except Exception as exc:
            _logger.exception("%s: on_leading", self._name)
            return f"on_leading raised {exc!r}"
        return None

    def _watch(self) -> str | None:
        """Returns why the reign must end; ``None`` if it was handed over."""
        while not self._closing.is_set():
            if self.store.wait_state_change(State.LEADING, timeout=_WATCH_S) is not State.LEADING:
                return self.store.status().reason
            try:
                if not self.election.holds():
                    return "another candidate was elected"
                if self._hand_over():
                    return None
            except ElectionUnavailable as exc:
                self._complain(exc)
        return "closed"

    def _end_reign(self, reason: str) -> None:
        try:
            self.store.step_down(timeout=self._lead_timeout)
        except StoreError as exc:
            # It will be down when the append that is under way gets an answer, or none in time.
            self._complain(exc)
        self._give_up()
        self._set(CandidateState.STANDBY, reason)
        try:
            self._on_standby(reason)
        except Exception:
            _logger.exception("%s: on_standby", self._name)

    def _hand_over(self) -> bool:
        """Takes a hand-over that was asked for a step further. Whether the reign ended by it."""
        if self._handing is None and not self._begin_hand_over():
            return False
        assert self._handing is not None
        request, deadline = self._handing
        to = self.election.ready(request)
        if to is None and time.monotonic() < deadline:
            return False
        if to is None:
            self._settle(
                HandoverFailed(
                    f"{request.to or 'no standby'} was not ready within {request.timeout:g} s:"
                    " it must have caught up, and not doubt its copy;"
                    f" {self.election.member.name} goes on leading"
                )
            )
            return False
        self._set(CandidateState.HANDING_OVER, f"to {to}")
        shut_at = time.monotonic()
        self._end_reign(f"leadership is handed over to {to}")
        try:
            name, heard_at = self.election.succeeded(_TAKEOVER_LIMIT_S)
            self._settle(Handover(name, heard_at - shut_at))
        except StoreError as exc:
            self._settle(exc)
        return True

    def _begin_hand_over(self) -> bool:
        with self._changed:
            waiting = self._transfer
        request = self.election.requested() if waiting is None else waiting.request
        if request is None:
            return False
        self._handing = request, time.monotonic() + request.timeout
        try:
            self.election.prepare(request, int(self.store.position))
        except StoreError as exc:
            self._settle(exc)
            return False
        return True

    def _settle(self, outcome: Handover | StoreError) -> None:
        """Ends the hand-over that is under way."""
        assert self._handing is not None
        request, _ = self._handing
        self._handing = None
        _logger.info("%s: hand-over: %s", self._name, outcome)
        try:
            self.election.report(request, outcome)
        except ElectionUnavailable as exc:
            self._complain(exc)
        self._answer(outcome, request)

    def _answer(self, outcome: Handover | StoreError, request: Request | None = None) -> None:
        """Answers a thread that waits for a hand-over: for this one, or for any."""
        with self._changed:
            waiting = self._transfer
            if waiting is None or (request is not None and waiting.request is not request):
                return
            self._transfer = None
        waiting.outcome = outcome
        waiting.done.set()

    def _give_up(self) -> None:
        try:
            self.election.give_up()
        except ElectionUnavailable as exc:
            self._complain(exc)

    def _complain(self, exc: StoreError) -> None:
        if exc.message != self._complaint:  # it may be tried again many times a second
            self._complaint = exc.message
            _logger.warning("%s, %s: %s", self._name, self.status.state.value, exc.message)

    def _pause(self) -> None:
        self._closing.wait(random.uniform(*_PAUSE_S))

    def _set_unfit(self, unfit: str) -> None:
        if unfit != self.status.unfit:
            _logger.info("%s %s", self._name, f"does not stand: {unfit}" if unfit else "stands")
            with self._changed:
                self._status = replace(self._status, unfit=unfit)

    def _set(self, state: CandidateState, reason: str, timing: LeadTiming | None = None) -> None:
        _logger.info("%s: %s%s%s", self._name, state.value, ": " if reason else "", reason)
        with self._changed:
            old = self._status
            self._status = CandidateStatus(
                state,
                reason,
                old.unfit,
                time.monotonic(),
                old.reigns + (timing is not None),
                timing or old.timing,
            )
            self._changed.notify_all()

    @property
    def _name(self) -> str:
        return f"candidate {self.election.member.name}"
