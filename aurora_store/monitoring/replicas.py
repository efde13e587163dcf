"""All replicas of a store, seen from outside: what the monitoring server of each one says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from aurora_store.monitoring.access import Token
from aurora_store.status import State

METADATA_KEY = "monitoring"
"""Where a member of an election says the address of its monitoring server, in its metadata."""

_MOST_BYTES = 1 << 20
_MARGIN_S = 0.5
_FIELDS = {
    "name": str,
    "state": str,
    "reason": str,
    "epoch": int,
    "position": int,
    "log_ending": int,
    "database_bytes": int,
    "last_minute": dict,
}  # of /status, that this module and the command line use


@dataclass(frozen=True)
class Replica:
    """Where to ask.

    Attributes:
        name: as its candidate is called, or its address.
        address: ``host:port`` or a URL; empty if it said none.
    """

    name: str
    address: str

    @property
    def url(self) -> str:
        """Of its monitoring server, without a path."""
        return (self.address if "://" in self.address else f"http://{self.address}").rstrip("/")


@dataclass(frozen=True)
class Look:
    """What one replica said.

    Attributes:
        status: its ``/status``; ``None`` if there was no answer.
        problem: why there was none; empty if there was.
    """

    replica: Replica
    status: dict[str, Any] | None
    problem: str

    @property
    def name(self) -> str:
        """As it calls itself, or as it was called."""
        return self.replica.name if self.status is None else str(self.status["name"])

    @property
    def state(self) -> str:
        """Of the replica, or ``unreachable``."""
        return "unreachable" if self.status is None else str(self.status["state"])

    @property
    def well(self) -> bool:
        """Whether it answered, and has neither failed nor been closed."""
        return self.status is not None and self.state not in (
            State.FAILED.value,
            State.CLOSED.value,
        )


@dataclass(frozen=True)
class Overview:
    """What all replicas said, at nearly the same time."""

    looks: tuple[Look, ...]

    @property
    def leader(self) -> Look | None:
        """Who leads: an older leader that was cut off may believe so, too, in an older epoch."""
        leading = [look for look in self.looks if look.state == State.LEADING.value]
        return max(leading, key=_epoch, default=None)

    def behind(self, look: Look) -> int | None:
        """How many entries a replica is behind the leader or, without one, the log's known end."""
        if look.status is None:
            return None
        known = [self.leader] if self.leader is not None else self.looks
        end = max(each.status["log_ending"] for each in known if each.status is not None)
        return max(0, int(end) - int(look.status["position"]))


def _epoch(look: Look) -> int:
    return 0 if look.status is None else int(look.status["epoch"])


def look_at(
    replicas: Sequence[Replica], *, token: Token | None = None, timeout: float = 3.0
) -> Overview:
    """Asks all of them at the same time. One that does not answer is part of the answer.

    Args:
        timeout: for each one, in seconds.
    """
    looks: dict[Replica, Look] = {}

    def ask(replica: Replica) -> None:
        looks[replica] = _look(replica, token, timeout)

    threads = [threading.Thread(target=ask, args=(each,), daemon=True) for each in replicas]
    deadline = time.monotonic() + timeout + _MARGIN_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    # Looking up a name, and an answer that comes byte by byte, know no limit of their own.
    late = f"no answer within {timeout:g} s"
    return Overview(tuple(looks.get(each) or Look(each, None, late) for each in replicas))


def replicas_of_election(zookeeper: str) -> list[Replica]:
    """The candidates of an election, by their metadata.

    Raises:
        ElectionUnavailable: ZooKeeper cannot be reached.
        ValueError: the URL cannot be understood.
    """
    from aurora_store.election import look_up

    _, members = look_up(zookeeper)
    return [Replica(member.name, str(member.metadata.get(METADATA_KEY, ""))) for member in members]


def _look(replica: Replica, token: Token | None, timeout: float) -> Look:
    if not replica.address:
        return Look(replica, None, f"its metadata in the election has no {METADATA_KEY!r}")
    try:
        return Look(replica, _get(replica, token, timeout), "")
    except (requests.Timeout, TimeoutError):
        problem = f"no answer within {timeout:g} s"
    except requests.ConnectionError as exc:
        problem = f"no connection: {_cause(exc)}"
    except (requests.RequestException, ValueError) as exc:
        problem = str(exc)
    return Look(replica, None, problem)


def _get(replica: Replica, token: Token | None, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    with requests.Session() as session:
        # Neither a proxy, nor a .netrc that would replace the token.
        session.trust_env = False
        answer = session.get(
            f"{replica.url}/status",
            headers={} if token is None else {"Authorization": token.header},
            timeout=timeout,
            stream=True,
            allow_redirects=False,  # a token goes where it was meant to go
        )
        if answer.status_code == requests.codes.unauthorized:
            raise ValueError("it wants a token, or another one" if token else "it wants a token")
        if answer.status_code != requests.codes.ok:
            raise ValueError(f"it answers {answer.status_code} {answer.reason}")
        body = b""
        for part in answer.iter_content(1 << 16):
            body += part
            if time.monotonic() > deadline:
                raise TimeoutError
            if len(body) > _MOST_BYTES:
                raise ValueError(f"its answer has more than {_MOST_BYTES} bytes")
    return _checked(body)


def _checked(body: bytes) -> dict[str, Any]:
    try:
        status = json.loads(body)
        for key, kind in _FIELDS.items():
            if not isinstance(status[key], kind):
                raise TypeError(key)
    except (KeyError, TypeError, ValueError):
        raise ValueError("its answer is not the status of a replica") from None
    return dict(status)


def _cause(exc: BaseException) -> str:
    """What the system said, from below the layers of HTTP."""
    below: BaseException | None = exc
    while below is not None:
        if isinstance(below, OSError) and below.strerror:
            return below.strerror
        below = below.__cause__ or below.__context__
    return "it ended without an answer"
