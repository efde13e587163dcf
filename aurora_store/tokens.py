"""Transactions that are certain to happen once: a token in the database says what became of them.

    token = new_token()
    with store.begin(token=token) as connection:
        ...

The token is written by the transaction itself, into the table `aurora_store_token`, so it is in the
log exactly if the transaction is. Whoever cannot know what became of it either runs it again with
the same token, and gets `AlreadyCommitted` if it had happened, or asks `Store.outcome`.

**Why an answer is certain.** `outcome` says `COMMITTED` only for a token that a quorum has. Before
it says `NOT_COMMITTED` it writes that into the same table, and waits for the quorum: the answer is
a commit of the leader, so no other leader ruled meanwhile, and an attempt that is still under way
anywhere finds the answer there and is refused. Of two such transactions one comes first in the log.

**Forgetting.** A token begins with the time of its making, and is forgotten by that. The table
keeps the time before which tokens were forgotten. An older token that is not there is neither
committed nor not: it is refused with `TokenExpired`. No clock is compared with another one, so a
wrong clock makes a token expire early or late, and never gives a wrong answer.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

from sqlalchemy import Connection

from aurora_store.errors import (
    AlreadyCommitted,
    CommitOutcomeUnknown,
    LeadershipLost,
    NotLeader,
    TokenExpired,
    TokenRefused,
)

if TYPE_CHECKING:
    from aurora_store.store import Store

__all__ = ["TABLE", "TokenOutcome", "new_token"]

TABLE = "aurora_store_token"

_TOKEN = re.compile(r"\d{16}-[!-~]{1,200}")
_TIME_DIGITS = 16
_AT_A_TIME = 10_000  # so that expiry holds the write lock for milliseconds

# The row of the empty token is ours: its time_us is before which tokens were forgotten.
_CREATE = f"""CREATE TABLE IF NOT EXISTS {TABLE} (
    token TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    time_us INTEGER NOT NULL,
    committed INTEGER NOT NULL
) WITHOUT ROWID"""
_EXISTS = f"SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '{TABLE}'"
_FIND = f"SELECT committed FROM {TABLE} WHERE token = ?"
_INSERT = f"INSERT INTO {TABLE} (token, epoch, time_us, committed) VALUES (?, ?, ?, ?)"
_HORIZON = f"SELECT time_us FROM {TABLE} WHERE token = ''"
_SET_HORIZON = f"""INSERT INTO {TABLE} (token, epoch, time_us, committed) VALUES ('', ?, ?, 0)
    ON CONFLICT (token) DO UPDATE SET epoch = excluded.epoch, time_us = excluded.time_us"""
_OLD = f"FROM {TABLE} WHERE token > '' AND token < ?"
_FORGET = f"""DELETE FROM {TABLE}
    WHERE token IN (SELECT token {_OLD} ORDER BY token LIMIT {_AT_A_TIME})"""


class TokenOutcome(Enum):
    """What became of the transaction with a token. Neither answer ever turns into the other."""

    COMMITTED = "committed"
    NOT_COMMITTED = "not_committed"


def new_token(name: str | None = None) -> str:
    """A token for one transaction: the time of now, and `name`, or a random one.

    Raises:
        ValueError: the name is not 1 to 200 visible ASCII characters without spaces.
    """
    token = f"{_now_us():0{_TIME_DIGITS}d}-{uuid.uuid4().hex if name is None else name}"
    _made_at_us(token)
    return token


@contextmanager
def transaction(store: Store, token: str) -> Iterator[Connection]:
    """`Store.begin` with a token."""
    made_at_us = _made_at_us(token)
    with store.engine.begin() as connection:
        connection.exec_driver_sql(_CREATE)
        committed = _find(connection, token)
        if committed is not None:
            _refuse(token, committed)
        _check_horizon(connection, token, made_at_us)
        _write(connection, store, token, committed=True)
        yield connection


def outcome(store: Store, token: str) -> TokenOutcome:
    """`Store.outcome`."""
    made_at_us = _made_at_us(token)
    with store.read() as connection:
        committed = None
        if _exists(connection):
            committed = _find(connection, token)
            if committed is None:
                _check_horizon(connection, token, made_at_us)
    if committed is None:
        committed = _settle(store, token, made_at_us)
    return TokenOutcome.COMMITTED if committed else TokenOutcome.NOT_COMMITTED


def _settle(store: Store, token: str, made_at_us: int) -> bool:
    try:
        with store.engine.begin() as connection:
            connection.exec_driver_sql(_CREATE)
            committed = _find(connection, token)
            if committed is None:
                _check_horizon(connection, token, made_at_us)
                _write(connection, store, token, committed=False)
            return bool(committed)
    except (NotLeader, LeadershipLost, CommitOutcomeUnknown) as exc:
        leader = store.status().leader_host
        heard = f", last heard of on {leader}" if leader else ""
        raise NotLeader(
            f"token {token} is not in what this replica has applied, and only the leader can say"
            f" that it never will be: {exc.message}",
            hint=f"ask the leader{heard}, or again later",
        ) from exc


def expire(store: Store, older_than: timedelta) -> int:
    """`Store.expire_tokens`."""
    if older_than <= timedelta(0):
        raise ValueError(f"tokens of the last {older_than} cannot be kept: give a time above 0")
    horizon_us = _now_us() - int(older_than.total_seconds() * 1e6)
    before = f"{max(horizon_us, 0):0{_TIME_DIGITS}d}"
    forgotten = 0
    while True:
        with store.read() as connection:
            if not _exists(connection):
                return forgotten
            if connection.exec_driver_sql(f"SELECT 1 {_OLD} LIMIT 1", (before,)).first() is None:
                return forgotten
        with store.engine.begin() as connection:
            known = connection.exec_driver_sql(_HORIZON).scalar() or 0
            epoch = store.status().epoch
            connection.exec_driver_sql(_SET_HORIZON, (epoch, max(known, horizon_us)))
            forgotten += connection.exec_driver_sql(_FORGET, (before,)).rowcount


def _find(connection: Connection, token: str) -> int | None:
    committed: int | None = connection.exec_driver_sql(_FIND, (token,)).scalar()
    return committed


def _write(connection: Connection, store: Store, token: str, *, committed: bool) -> None:
    row = (token, store.status().epoch, _now_us(), int(committed))
    connection.exec_driver_sql(_INSERT, row)


def _exists(connection: Connection) -> bool:
    return connection.exec_driver_sql(_EXISTS).first() is not None


def _check_horizon(connection: Connection, token: str, made_at_us: int) -> None:
    horizon_us = connection.exec_driver_sql(_HORIZON).scalar()
    if horizon_us is None or made_at_us >= horizon_us:
        return
    horizon = datetime.fromtimestamp(horizon_us / 1e6, timezone.utc)
    raise TokenExpired(
        f"token {token} was made before {horizon:%Y-%m-%dT%H:%M:%SZ}; what became of transactions"
        " with tokens that old was forgotten",
        hint="look for the transaction's effect; run it again, if need be, with a new token",
    )


def _refuse(token: str, committed: int) -> NoReturn:
    if committed:
        raise AlreadyCommitted(f"the transaction with token {token} is in the log already")
    raise TokenRefused(
        f"the transaction with token {token} was asked about and settled as not committed",
        hint="run it again with a new token",
    )


def _made_at_us(token: str) -> int:
    if not _TOKEN.fullmatch(token):
        raise ValueError(
            f"{token!r} is no token: make one with aurora_store.new_token(), whose name has 1 to"
            " 200 visible ASCII characters"
        )
    return int(token[:_TIME_DIGITS])


def _now_us() -> int:
    return time.time_ns() // 1000
