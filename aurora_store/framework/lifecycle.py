"""Where a framework is in its life: states, what led to them, and how long each step took."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

_logger = logging.getLogger("aurora_store.framework")

_KEPT = 64


class FrameworkState(Enum):
    """``standby -> elected -> catching up -> registering -> starting -> active -> stopping -> ...``

    From anywhere between ``standby`` and ``active`` leadership may be lost, which leads by way of
    ``stopping`` to ``standby``; or to ``closed`` or ``failed``, from where nothing leads away.
    """

    NEW = "new"
    STANDBY = "standby"
    ELECTED = "elected"
    CATCHING_UP = "catching up"
    REGISTERING = "registering"
    STARTING = "starting"
    ACTIVE = "active"
    STOPPING = "stopping"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass(frozen=True)
class Transition:
    """A step from one state into the next.

    Attributes:
        state: the new one.
        at: when, in seconds since 1970.
        after_s: how long the state before had lasted.
        reason: why; empty if that goes without saying.
    """

    state: FrameworkState
    at: float
    after_s: float
    reason: str


@dataclass(frozen=True)
class Takeover:
    """How long each step to the last time of being active took, in seconds.

    Attributes:
        election_s: until a quorum of the log followed no older leader.
        catch_up_s: reading what the log had beyond this replica, and the leader's first entry.
        registration_s: until the master had registered the framework, and its id was durable.
        services_s: until every service had started.
    """

    election_s: float
    catch_up_s: float
    registration_s: float
    services_s: float


@dataclass(frozen=True)
class FrameworkStatus:
    """A framework at one moment. Counters are of this process.

    Attributes:
        state: see `FrameworkState`.
        reason: why it is in this state.
        state_s: for how long, in seconds.
        unfit: why it does not stand for election; empty if it does.
        framework_id: as this replica knows it; ``None`` before the first registration.
        master: that it is connected to, ``None`` if it is to none.
        problem: why it is not connected; empty if it is, or does not lead.
        reigns: how often it was active.
        takeover: the steps to the last time.
        updates_recorded: status updates whose transaction is durable.
        updates_acknowledged: those whose acknowledgement the master took. Updates that answer a
            question (reconciliation) need none.
        callbacks_failed: that raised, and were undone.
        events_queued: that wait to be handled.
        transitions: the last ones, oldest first.
    """

    state: FrameworkState
    reason: str
    state_s: float
    unfit: str
    framework_id: str | None
    master: str | None
    problem: str
    reigns: int
    takeover: Takeover | None
    updates_recorded: int
    updates_acknowledged: int
    callbacks_failed: int
    events_queued: int
    transitions: tuple[Transition, ...]

    def as_json(self) -> dict[str, Any]:
        """For a status page and for ``--json``."""
        answer = asdict(self)
        answer["state"] = self.state.value
        answer["transitions"] = [
            {**asdict(each), "state": each.state.value} for each in self.transitions
        ]
        return answer


class Lifecycle:
    """The state, changed by one thread and looked at by any.

    Args:
        name: for the log.
        on_change: called after each transition, by the thread that makes it.
    """

    def __init__(self, name: str, on_change: Callable[[Transition], object]) -> None:
        self._name = name
        self._on_change = on_change
        self._changed = threading.Condition()
        self._transitions = deque(
            [Transition(FrameworkState.NEW, time.time(), 0.0, "")], maxlen=_KEPT
        )  # guarded by _changed

    def enter(self, state: FrameworkState, reason: str = "", *, ago_s: float = 0.0) -> Transition:
        """Steps into a state, now or, where it was entered by other means, `ago_s` before."""
        with self._changed:
            last = self._transitions[-1]
            at = max(last.at, time.time() - ago_s)
            now = Transition(state, at, at - last.at, reason)
            self._transitions.append(now)
            self._changed.notify_all()
        _logger.info(
            "framework %s: %s after %.3f s %s%s%s",
            self._name,
            state.value,
            now.after_s,
            last.state.value,
            ": " if reason else "",
            reason,
        )
        try:
            self._on_change(now)
        except Exception:
            _logger.exception("framework %s: on_change", self._name)
        return now

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """The last ones, oldest first; the last one tells the state."""
        with self._changed:
            return tuple(self._transitions)

    @property
    def state(self) -> FrameworkState:
        """Of this moment."""
        return self.transitions[-1].state

    def wait(self, *states: FrameworkState, timeout: float | None = None) -> bool:
        """Waits until it is in one of these states; false if it is not after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._transitions[-1].state in states, timeout)
