"""A store that stands for election, in a process of its own: what the tests here call in it.

While it leads, and if asked to, it writes pairs of rows as fast as it can. Times are of the
monotonic clock, which the processes of one machine share.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

import store_worker
from kazoo.client import KazooClient
from sqlalchemy import text
from store_worker import (  # noqa: F401  (called by the tests)
    catch_up,
    checksums,
    close,
    lead,
    query,
    script,
    status,
    step_down,
    wait_for,
)

from aurora_store import LeadTiming
from aurora_store.election import Candidate, HeartbeatElection, Member, ZooKeeperElection
from aurora_store.errors import CommitOutcomeUnknown, StoreError

_candidate: Candidate | None = None
_writers = 0
_threads: list[threading.Thread] = []
_acknowledged = ""
_commits: list[float] = []
_events: list[dict[str, Any]] = []
_refused: dict[str, int] = {}
_unknown: list[int] = []
_stopping = threading.Event()


def open_store(**options: Any) -> None:
    store_worker.open_store(**options)


def stand(
    name: str,
    zookeeper: str | None = None,
    session_timeout: float = 2.0,
    address: str = "",
    metadata: dict[str, Any] | None = None,
    answer_timeout: float = 10.0,
    fail_on_leading: bool = False,
    lead_timeout: float = 10.0,
) -> None:
    """Makes the candidate and starts it."""
    global _candidate
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    store = store_worker._opened()
    member = Member(name, address, metadata or {})
    election = (
        HeartbeatElection(store, member=member)
        if zookeeper is None
        else ZooKeeperElection(
            zookeeper, member=member, session_timeout=session_timeout, timeout=answer_timeout
        )
    )

    def on_leading(timing: LeadTiming) -> None:
        _event("leading", epoch=store.status().epoch, thread=threading.get_ident())
        if fail_on_leading:
            raise RuntimeError("the services do not start")
        start_writing_now()

    def on_standby(reason: str) -> None:
        _event("standby", reason=reason, thread=threading.get_ident())

    candidate = Candidate(
        store, election, on_leading=on_leading, on_standby=on_standby, lead_timeout=lead_timeout
    )
    candidate.start()
    _candidate = candidate


def _standing() -> Candidate:
    assert _candidate is not None
    return _candidate


def _event(kind: str, **values: Any) -> None:
    _events.append({"kind": kind, "at": time.monotonic(), **values})


def write_while_leading(writers: int, acknowledged: str) -> None:
    """From the next reign on. Each acknowledged number goes into that file, which survives -9."""
    global _writers, _acknowledged
    _writers, _acknowledged = writers, acknowledged


def start_writing_now() -> None:
    """What a new leader does by itself."""
    _threads[:] = [
        threading.Thread(target=_write, args=(each,), daemon=True) for each in range(_writers)
    ]
    for thread in _threads:
        thread.start()


def _write(number: int) -> None:
    store = store_worker._opened()
    file = os.open(_acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    pair = store.status().epoch * 1_000_000 + number * 100_000
    while not _stopping.is_set():
        pair += 1
        try:
            with store.begin() as connection:
                connection.execute(text("INSERT INTO pair VALUES (:n, 0)"), {"n": pair})
                connection.execute(text("INSERT INTO pair VALUES (:n, 1)"), {"n": pair})
        except CommitOutcomeUnknown:
            _unknown.append(pair)
            break
        except StoreError as error:
            kind = type(error).__name__
            _refused[kind] = _refused.get(kind, 0) + 1
            break
        now = time.monotonic()
        os.write(file, b"%d\n" % pair)
        _commits.append(now)
    os.close(file)


def writing() -> dict[str, Any]:
    """The first and the last commit, the count, and what other writers got."""
    for thread in _threads:
        if _standing().status.state.value != "leading":
            thread.join(30)
    return {
        "first": min(_commits, default=None),
        "last": max(_commits, default=None),
        "count": len(_commits),
        "refused": dict(_refused),
        "unknown": list(_unknown),
    }


def stop_writing() -> dict[str, Any]:
    _stopping.set()
    for thread in _threads:
        thread.join(30)
    return writing()


def first_commit_after(moment: float) -> float | None:
    return min((each for each in list(_commits) if each > moment), default=None)


def events() -> list[dict[str, Any]]:
    return list(_events)


def wait_leading(timeout: float = 30.0) -> dict[str, float]:
    timing = _standing().wait_leading(timeout=timeout)
    return {
        "election": timing.election_s,
        "catch_up": timing.catch_up_s,
        "leader_entry": timing.leader_entry_s,
    }


def wait_state(state: str, timeout: float = 30.0) -> dict[str, Any]:
    """Of the candidate; returns its status."""
    deadline = time.monotonic() + timeout
    while _standing().status.state.value != state and time.monotonic() < deadline:
        time.sleep(0.005)
    return candidate_status()


def candidate_status() -> dict[str, Any]:
    now = _standing().status
    return {
        "state": now.state.value,
        "reason": now.reason,
        "unfit": now.unfit,
        "reigns": now.reigns,
    }


def leader() -> dict[str, Any] | None:
    found = _standing().leader()
    return None if found is None else found.as_json()


def candidates() -> list[str]:
    return [each.name for each in _standing().election.candidates()]


def transfer(to: str | None = None, timeout: float = 20.0) -> dict[str, Any]:
    done = _standing().transfer(to, timeout=timeout)
    return {"to": done.to, "gap_s": done.gap_s}


def representation() -> str:
    return repr(_standing().election)


def close_candidate() -> None:
    _standing().close()


def expire_session() -> None:
    """Has ZooKeeper end this candidate's session, as kazoo's own tests do it."""
    election = _standing().election
    assert isinstance(election, ZooKeeperElection)
    client = election._znodes._kazoo
    twin = KazooClient(
        hosts=election.address.connect_string,
        client_id=client.client_id,
        timeout=client._session_timeout / 1000,
    )
    twin.start()
    twin.stop()
    twin.close()
