"""An election in ZooKeeper from outside: for commands, and for whoever redirects to the leader."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aurora_store.election.election import Handover
from aurora_store.election.member import Leader, Member
from aurora_store.election.znodes import TRANSFER, Znodes
from aurora_store.errors import ElectionUnavailable, HandoverFailed, NoLeader, NoSuchCandidate
from aurora_store.log.members import ZooKeeperAddress

_TIMEOUT_S = 5.0  # of the session, and for each answer
_ANSWER_LIMIT_S = 15.0  # for taking over, once the next leader is ready, and for the news of it


def look_up(url: str) -> tuple[Leader | None, list[Member]]:
    """Who leads now, if anybody does, and who stands, sorted by name.

    Args:
        url: as of the candidates; needs no credentials.

    Raises:
        ElectionUnavailable: ZooKeeper cannot be reached.
    """
    with _session(url) as znodes:
        return znodes.leader(), znodes.candidates()


def hand_over(url: str, to: str | None = None, *, timeout: float = 30.0) -> Handover:
    """Has the leader hand over to `to`, or to whichever standby is ready first, from outside.

    Args:
        url: as of the candidates, with their credentials.
        timeout: how long to wait for that standby to be ready, in seconds.

    Raises:
        NoLeader, NoSuchCandidate, HandoverFailed: nothing was changed.
        ElectionUnavailable: ZooKeeper cannot be reached, or rights are missing.
    """
    with _session(url) as znodes:
        return _hand_over(znodes, to, timeout)


def _hand_over(znodes: Znodes, to: str | None, timeout: float) -> Handover:
    leader = znodes.leader()
    if leader is None or leader.epoch is None:
        raise NoLeader(f"nobody leads at {znodes.address}: there is nothing to hand over")
    if leader.name == to:
        raise HandoverFailed(f"{to} leads already")
    asked = {"id": uuid.uuid4().hex, "to": to, "timeout": timeout, "position": None}
    names = [each.name for each in znodes.candidates()]
    if to is not None and to not in names:
        raise NoSuchCandidate(
            f"no candidate at {znodes.address} is named {to}; there are: {', '.join(names)}"
        )
    if not znodes.create(TRANSFER, asked):
        raise HandoverFailed(f"another hand-over is under way at {znodes.address}")

    def answer() -> Any:
        value = znodes.seen(TRANSFER).value
        return value.get("outcome") if value and value.get("id") == asked["id"] else None

    outcome = znodes.wait(answer, timeout + _ANSWER_LIMIT_S)
    if outcome is None:
        raise HandoverFailed(
            f"the leader, {leader.name}, did not answer within {timeout + _ANSWER_LIMIT_S:g} s",
            hint="see who leads now: aurora-store lead --zookeeper ...",
        )
    if "error" in outcome:
        raise _ERRORS.get(outcome["error"], HandoverFailed)(f"{leader.name}: {outcome['message']}")
    return Handover(outcome["to"], outcome["gap_s"])


_ERRORS = {kind.__name__: kind for kind in (NoSuchCandidate, HandoverFailed, ElectionUnavailable)}


@contextmanager
def _session(url: str) -> Iterator[Znodes]:
    znodes = Znodes(ZooKeeperAddress.parse(url), session_timeout=_TIMEOUT_S, timeout=_TIMEOUT_S)
    znodes.start()
    try:
        yield znodes
    finally:
        znodes.close()
