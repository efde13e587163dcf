"""An election in ZooKeeper: whoever makes the znode ``leader`` is elected, until it goes.

What becomes of the session of a candidate that leads:

- suspended (the connection is lost, the session may live on): it goes on leading. Should another
  one be elected meanwhile, the log fences this one at its next append.
- lost or expired (its znode is gone): it goes on, too, and makes the znode again as soon as it is
  connected. If another one was faster, it steps down. Stepping down at once would be an outage
  whenever ZooKeeper alone had one, and would add no safety: a leader that does not know yet that
  its session is over writes on just the same, and only the log can stop it.
- a candidate that does not lead is not elected without a connection, and stands again with one.

A hand-over:

1. Who wants it makes ``transfer``; the leader adds its position.
2. The standby that is meant, or, if none is, the first one that has applied this position, makes
   ``ready``. From now on nobody else stands, as long as both znodes are there.
3. The leader lets its last commits get through, and removes ``leader``.
4. That standby is told by its watch, makes ``leader`` and leads.
5. The old leader is told by its watch, and writes what became of it into ``transfer``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from aurora_store.election.election import Election, Handover, Request
from aurora_store.election.member import Leader, Member
from aurora_store.election.znodes import LEADER, READY, TRANSFER, Znodes
from aurora_store.errors import (
    HandoverFailed,
    NoSuchCandidate,
    StoreError,
)
from aurora_store.log.members import ZooKeeperAddress

_LOOK_EVERY_S = 1.0
_LOOK_EVERY_WHEN_ASKED_S = 0.01


class ZooKeeperElection(Election):
    """One candidate's part in an election that is held in ZooKeeper.

    Args:
        url: ``zk://[user:password@]host:port,.../path``; the path belongs to this election alone,
            not to the log, too. With credentials only they can change it; everybody can read it.
        member: who this candidate is.
        session_timeout: a candidate that died is noticed after so many seconds. ZooKeeper rounds
            it up to its next tick and keeps it within its own limits (2 to 20 ticks).
        timeout: for each answer of ZooKeeper, in seconds.

    Raises:
        ValueError: the URL cannot be understood.
    """

    def __init__(
        self,
        url: str,
        *,
        member: Member,
        session_timeout: float = 10.0,
        timeout: float = 10.0,
    ) -> None:
        self.member = member
        self.address = ZooKeeperAddress.parse(url)
        self._znodes = Znodes(self.address, session_timeout=session_timeout, timeout=timeout)
        self._id = uuid.uuid4().hex
        self._registered: int | None = None  # the session that has our znode in candidates
        self._reign: Leader | None = None  # what our znode says, while elected
        self._held: int | None = None  # the session whose znode it is, until it was removed
        self._handled: str | None = None  # the last request that was reported on

    def __repr__(self) -> str:
        return f"ZooKeeperElection({str(self.address)!r}, member={self.member!r})"

    def start(self, notify: Callable[[], None]) -> None:
        self._znodes.start(notify)
        try:
            self._znodes.make_path()
            self._register()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._znodes.close()

    def leader(self) -> Leader | None:
        return self._znodes.as_leader(self._znodes.seen(LEADER))

    def candidates(self) -> list[Member]:
        return self._znodes.candidates()

    @property
    def look_every(self) -> float:
        asked = self._transfer() is not None
        return _LOOK_EVERY_WHEN_ASKED_S if asked else _LOOK_EVERY_S

    # ---- of a standby ----

    def seek(self, position: int) -> bool:
        if not self._znodes.connected:
            return False
        self._register()
        leader = self._znodes.seen(LEADER)
        if leader.owner is not None and leader.owner != self._znodes.session:
            self._answer(position)
            return False
        reign = Leader(self.member, None, datetime.now(timezone.utc))
        heir = self._heir()
        if heir == self.member.name and leader.owner is None:
            # Nobody else stands now: there is no need to wait for ZooKeeper before leading.
            self._znodes.create_soon(LEADER, reign.as_json())
            self._reign, self._held = reign, self._znodes.session
            return True
        return heir in (None, self.member.name) and self._take(reign)

    def give_up(self) -> None:
        self._reign = None
        if not self._znodes.connected:
            return  # and try again, or be elected again, when it is
        if self._is_ours(LEADER, self._held):
            self._znodes.delete(LEADER)
        self._held = None
        self._withdraw()

    # ---- of the leader ----

    def advertise(self, epoch: int) -> None:
        assert self._reign is not None
        self._reign = Leader(self.member, epoch, self._reign.since)
        if self._znodes.connected:
            self._znodes.set_soon(LEADER, self._reign.as_json())

    def holds(self) -> bool:
        if not self._znodes.connected:
            return True
        self._register()
        assert self._reign is not None
        seen, reign = self._znodes.seen(LEADER), self._reign.as_json()
        if seen.owner != self._znodes.session:
            return self._take(self._reign)
        if seen.value != reign:
            self._znodes.set_soon(LEADER, reign)
        self._withdraw()
        return True

    def requested(self) -> Request | None:
        asked = self._transfer()
        if asked is None or asked["id"] == self._handled:
            return None
        return Request(asked["to"], asked["timeout"], asked["id"])

    def prepare(self, request: Request, position: int) -> None:
        others = [each.name for each in self.candidates() if each.name != self.member.name]
        if request.to is not None and request.to not in others:
            raise NoSuchCandidate(
                f"no other candidate at {self.address} is named {request.to};"
                f" there are: {', '.join(others) or 'none'}"
            )
        if not others:
            raise NoSuchCandidate(f"no other candidate stands at {self.address}")
        asked = {
            "id": request.id,
            "to": request.to,
            "timeout": request.timeout,
            "position": position,
        }
        foreign = self._transfer()
        if foreign is not None and foreign["id"] == request.id:
            self._znodes.set(TRANSFER, asked)
        elif not self._znodes.create(TRANSFER, asked):
            raise HandoverFailed(f"another hand-over is under way at {self.address}")

    def ready(self, request: Request) -> str | None:
        answer = self._znodes.seen(READY).value
        return str(answer.get("name")) if answer and answer.get("id") == request.id else None

    def succeeded(self, timeout: float) -> tuple[str, float]:
        def successor() -> tuple[str, float] | None:
            seen = self._znodes.seen(LEADER)
            leader = self._znodes.as_leader(seen)
            if leader is None or leader.epoch is None or leader.name == self.member.name:
                return None
            return leader.name, seen.heard_at

        found = self._znodes.wait(successor, timeout)
        if found is None:
            raise HandoverFailed(f"nobody took over within {timeout:g} s; all may stand again")
        return found

    def report(self, request: Request, outcome: Handover | StoreError) -> None:
        self._handled = request.id
        seen = self._znodes.get(TRANSFER)
        if seen.owner == self._znodes.session:
            self._znodes.delete(TRANSFER)
        elif seen.value is not None and seen.value.get("id") == request.id:
            self._znodes.set(TRANSFER, {**seen.value, "outcome": _as_json(outcome)})

    # ---- within ----

    def _register(self) -> None:
        session = self._znodes.session
        if session != self._registered:
            self._znodes.create(f"candidates/{self._id}", self.member.as_json())
            self._registered = session

    def _take(self, reign: Leader) -> bool:
        taken = self._znodes.create(LEADER, reign.as_json())
        self._reign = reign if taken else None
        self._held = self._znodes.session if taken else None
        return taken

    def _transfer(self) -> Any:
        """The request for a hand-over that is under way, if there is one."""
        asked = self._znodes.seen(TRANSFER).value
        if asked is None or "outcome" in asked:
            return None
        # Without credentials anybody may have written it.
        kinds = {"id": str, "to": str | None, "timeout": int | float, "position": int | None}
        if all(name in asked and isinstance(asked[name], kind) for name, kind in kinds.items()):
            return asked
        return None

    def _answer(self, position: int) -> None:
        asked = self._transfer()
        meant = asked is not None and asked["to"] in (None, self.member.name)
        if not meant:
            self._withdraw()
        elif (
            asked["position"] is not None
            and position >= asked["position"]
            and self._znodes.seen(READY).owner is None
        ):
            self._znodes.create(READY, {"id": asked["id"], "name": self.member.name})

    def _heir(self) -> str | None:
        """Who is the only one to stand now, because leadership is handed over to it."""
        asked, answer = self._transfer(), self._znodes.seen(READY).value
        if asked is None or answer is None or answer.get("id") != asked["id"]:
            return None
        return str(answer.get("name"))

    def _withdraw(self) -> None:
        if self._is_ours(READY):
            self._znodes.delete(READY)

    def _is_ours(self, name: str, held: int | None = None) -> bool:
        session = self._znodes.session
        if session is None:
            return False
        # What was heard may be old: only the owner of now can be trusted with a removal.
        return session == held or (
            session == self._znodes.seen(name).owner and session == self._znodes.get(name).owner
        )


def _as_json(outcome: Handover | StoreError) -> dict[str, Any]:
    if isinstance(outcome, Handover):
        return {"to": outcome.to, "gap_s": outcome.gap_s}
    return {"error": type(outcome).__name__, "message": outcome.message}
