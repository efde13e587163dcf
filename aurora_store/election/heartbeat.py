"""An election without ZooKeeper: a leader lives as long as the log moves.

A leader appends at least a heartbeat per interval. A standby that sees nothing new in its replica
for three intervals, and then for a part of another one that depends on its place among the members
and on chance, is elected. There is no other channel, so this election knows less than one in
ZooKeeper: see ``docs/election.md``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from aurora_store.election.election import Election, Handover, Request
from aurora_store.election.member import Leader, Member
from aurora_store.errors import HandoverFailed, NoSuchCandidate, StoreError
from aurora_store.log import LogFailed, NoAnswer
from aurora_store.status import State
from aurora_store.store import Store

_SILENCE = 3.0  # heartbeats
_SPREAD = 0.8  # of a heartbeat: the standbys try one after the other
_JITTER = 0.25  # of the time between two of them
_STAY_OUT = 3.0  # heartbeats longer, after a hand-over
_LOOKS = 20  # per heartbeat


class HeartbeatElection(Election):
    """One candidate's part in an election that the log itself decides.

    Args:
        store: the candidate's; opened with ``host=member.address``, which is what the others learn.
        member: who this candidate is.

    Raises:
        ValueError: the store has no heartbeats, or calls itself something else in the log.
    """

    def __init__(self, store: Store, *, member: Member) -> None:
        if store.heartbeat <= 0:
            raise ValueError("an election by heartbeats needs a store that is opened with some")
        if member.address and member.address != store.host:
            raise ValueError(
                f"the others learn the address of a leader from the log: open the store with"
                f" host={member.address!r}; now it is {store.host!r}"
            )
        self.member = member
        self._store = store
        self._heartbeat = store.heartbeat
        self._seen: tuple[int, int] | None = None
        self._quiet_since = time.monotonic()
        self._looked_at = self._quiet_since
        self._patience = self._draw()
        self._handing_over = False

    def start(self, notify: Callable[[], None]) -> None:
        self._hush()

    def close(self) -> None:
        pass

    def leader(self) -> Leader | None:
        status = self._store.status()
        if status.state is State.LEADING:
            return Leader(self.member, status.epoch, None)
        silent = status.last_entry_age_s
        if silent is None or silent > _SILENCE * self._heartbeat:
            return None
        if status.epoch == 0:
            return None
        metadata = {"instance": status.leader_instance, "software": status.leader_software}
        host = status.leader_host
        return Leader(Member(host, host, metadata), status.epoch, None)

    def candidates(self) -> list[Member]:
        """This one: it knows no others."""
        return [self.member]

    @property
    def look_every(self) -> float:
        return self._heartbeat / _LOOKS

    # ---- of a standby ----

    def seek(self, position: int) -> bool:
        try:
            # Of the log, not of the store's reading, which may be held up by a lost message.
            seen = int(self._store.log.ending(timeout=self._heartbeat)), position
        except (NoAnswer, LogFailed):
            seen = None
        now = time.monotonic()
        # Who did not look for a while (a stopped process, a busy machine) has heard nothing for
        # reasons of its own.
        if seen is None or seen != self._seen or now - self._looked_at > self._heartbeat / 2:
            self._seen = seen
            self._quiet_since = max(now, self._quiet_since)
        self._looked_at = now
        return now - self._quiet_since >= self._patience

    def give_up(self) -> None:
        self._hush(_STAY_OUT * self._heartbeat if self._handing_over else 0.0)
        self._handing_over = False

    # ---- of the leader ----

    def advertise(self, epoch: int) -> None:
        pass  # the log did

    def holds(self) -> bool:
        return True  # the log tells a leader that it is one no more

    def requested(self) -> Request | None:
        return None

    def prepare(self, request: Request, position: int) -> None:
        if request.to is not None:
            raise NoSuchCandidate(
                f"an election by heartbeats cannot choose {request.to}: hand over to whoever"
                " is first, or use ZooKeeper"
            )

    def ready(self, request: Request) -> str | None:
        self._handing_over = True
        return "whoever is first"

    def succeeded(self, timeout: float) -> tuple[str, float]:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            status = self._store.status()
            if status.leader_instance not in ("", self._store.instance):
                return status.leader_host, time.monotonic()
            time.sleep(self.look_every)
        raise HandoverFailed(f"nobody took over within {timeout:g} s; all may stand again")

    def report(self, request: Request, outcome: Handover | StoreError) -> None:
        pass  # nobody else asked

    # ---- within ----

    def _hush(self, longer: float = 0.0) -> None:
        """Begins to count the silence anew, `longer` seconds from now."""
        self._quiet_since = self._looked_at = time.monotonic()
        self._quiet_since += longer
        self._patience = self._draw()

    def _draw(self) -> float:
        place, members = self._store.log.place
        turn = (place + _JITTER * random.random()) / members if members > 1 else random.random()
        return (_SILENCE + _SPREAD * turn) * self._heartbeat
