"""The znodes of an election, and one session with ZooKeeper that reads, watches and writes them.

    PATH/candidates/ID   who stands                                   ephemeral, of each candidate
    PATH/leader          who is elected, and since when               ephemeral, of the elected one
    PATH/transfer        leadership is to be handed over              ephemeral, of who asks for it
    PATH/ready           the standby that takes over next             ephemeral, of that standby

Each holds one JSON object. All but ``candidates`` itself vanish with the session of their owner,
so nothing stale outlives a process for longer than a session's timeout. With credentials in the
address everything is writable to their owner and readable to everybody.

kazoo reports a connection in three states. SUSPENDED: it is lost, the session may live on; nothing
can be asked, what was heard last stays. LOST: the session is over, and its znodes are gone.
CONNECTED after either: every watch is set again, and what changed meanwhile is heard.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    AuthFailedError,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import EventType, WatchedEvent

from aurora_store.election.member import Leader, Member
from aurora_store.errors import ElectionUnavailable
from aurora_store.log.members import ZooKeeperAddress
from aurora_store.log.zookeeper import make_client

_T = TypeVar("_T")

_logger = logging.getLogger("aurora_store.election")

LEADER, TRANSFER, READY = _WATCHED = "leader", "transfer", "ready"

_RECONNECT = {"max_tries": -1, "delay": 0.1, "backoff": 2, "max_delay": 1.0}


@dataclass(frozen=True)
class Seen:
    """A watched znode, as last heard of.

    Attributes:
        value: what it holds; ``None`` if it is not there, or holds nothing that can be understood.
        owner: the session that it belongs to, 0 for none; ``None`` if it is not there.
        heard_at: when this was heard, by `time.monotonic`.
    """

    value: Mapping[str, Any] | None
    owner: int | None
    heard_at: float


_NEVER = Seen(None, None, 0.0)


class Znodes:
    """A session with ZooKeeper for one election. Any thread may use it.

    Args:
        address: the servers, the path, and perhaps credentials.
        session_timeout: after so many seconds of silence the session ends, and its znodes go.
        timeout: for each answer, in seconds.
    """

    def __init__(
        self, address: ZooKeeperAddress, *, session_timeout: float, timeout: float
    ) -> None:
        self.address = address
        self._session_timeout = session_timeout
        self._timeout = timeout
        self._client: KazooClient | None = None
        self._changed = threading.Condition(threading.RLock())
        self._seen: dict[str, Seen] = {}  # guarded by _changed
        self._notify: Callable[[], None] = lambda: None
        # One function each, so that kazoo keeps it once however often it is set.
        self._watches = {name: partial(self._look, name) for name in _WATCHED}

    def start(self, notify: Callable[[], None] = lambda: None) -> None:
        """Connects, and keeps `seen` up to date from now on. May be tried again.

        `notify` is called by kazoo's threads whenever there is news; it must not block.

        Raises:
            ElectionUnavailable: ZooKeeper cannot be reached, or rights are missing.
        """
        self._notify = notify
        client = make_client(
            self.address, timeout=self._session_timeout, connection_retry=_RECONNECT
        )
        try:
            client.start(timeout=self._timeout)
        except KazooTimeoutError as exc:
            raise ElectionUnavailable(
                f"{self.address} cannot be reached within {self._timeout:g} s",
                hint="see whether ZooKeeper runs there: echo srvr | nc HOST PORT",
            ) from exc
        self._client = client
        client.add_listener(self._state_changed)
        try:
            for name in _WATCHED:
                self.get(name)  # says what is wrong, if something is
                self._look(name)
            if not self.wait(lambda: set(_WATCHED) <= set(self._seen) or None, self._timeout):
                raise ElectionUnavailable(
                    f"{self.address} did not answer within {self._timeout:g} s"
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the session: its znodes go at once, or when it times out if it is cut off."""
        client, self._client = self._client, None
        if client is not None:
            client.remove_listener(self._state_changed)
            client.stop()
            client.close()

    @property
    def connected(self) -> bool:
        """Whether something can be asked now."""
        client = self._client
        return client is not None and bool(client.connected)

    @property
    def session(self) -> int | None:
        """The number of this session; another one after a session was lost."""
        client = self._client
        identity = None if client is None else client.client_id
        return None if identity is None else int(identity[0])

    def seen(self, name: str) -> Seen:
        """A watched znode, as last heard of. Asks nobody."""
        with self._changed:
            return self._seen.get(name, _NEVER)

    def wait(self, done: Callable[[], _T | None], timeout: float) -> _T | None:
        """Waits until `done`, asked again at all news, has an answer; ``None``: it had none."""
        with self._changed:
            self._changed.wait_for(lambda: done() is not None, timeout)
            return done()

    # ---- asking ZooKeeper: all of these raise ElectionUnavailable ----

    def get(self, name: str) -> Seen:
        """A znode as it is now."""
        try:
            data, stat = self._ask(self._kazoo.get_async(self._path(name)))
        except NoNodeError:
            return Seen(None, None, time.monotonic())
        return Seen(self._parse(name, data), stat.ephemeralOwner, time.monotonic())

    def make_path(self) -> None:
        """Makes what is there for ever: the path, and the folder of the candidates."""
        self._ask(self._kazoo.ensure_path_async(self._path("candidates")))

    def create(self, name: str, value: Mapping[str, Any]) -> bool:
        """Makes an ephemeral znode; false if somebody else's is there already."""
        data = json.dumps(value).encode()
        try:
            self._ask(self._kazoo.create_async(self._path(name), data, ephemeral=True))
        except NodeExistsError:
            # An earlier try may have succeeded without our hearing of it.
            return self.get(name).owner == self.session
        return True

    def create_soon(self, name: str, value: Mapping[str, Any]) -> None:
        """Makes an ephemeral znode without waiting for an answer."""
        data = json.dumps(value).encode()
        self._kazoo.create_async(self._path(name), data, ephemeral=True)

    def set(self, name: str, value: Mapping[str, Any]) -> bool:
        """Changes a znode; false if it is not there."""
        try:
            self._ask(self._kazoo.set_async(self._path(name), json.dumps(value).encode()))
        except NoNodeError:
            return False
        return True

    def set_soon(self, name: str, value: Mapping[str, Any]) -> None:
        """Changes a znode without waiting for an answer."""
        self._kazoo.set_async(self._path(name), json.dumps(value).encode())

    def delete(self, name: str) -> None:
        """Removes a znode, if it is there."""
        try:
            self._ask(self._kazoo.delete_async(self._path(name)))
        except NoNodeError:
            return

    def leader(self) -> Leader | None:
        """Who is elected now."""
        return self.as_leader(self.get(LEADER))

    def as_leader(self, seen: Seen) -> Leader | None:
        """What the znode ``leader`` says.

        Raises:
            ElectionUnavailable: something else is there.
        """
        if seen.owner is None:
            return None
        try:
            return Leader.from_json(seen.value or {})
        except (KeyError, TypeError, ValueError) as exc:
            raise ElectionUnavailable(
                f"{self._path(LEADER)} at {self.address} does not name a leader: {exc!r}",
                hint="remove that znode, or name another path",
            ) from exc

    def candidates(self) -> list[Member]:
        """Who stands now, sorted by name. Of one that was restarted, the newest."""
        found: dict[str, tuple[int, Member]] = {}
        try:
            ids = self._ask(self._kazoo.get_children_async(self._path("candidates")))
        except NoNodeError:
            return []
        for each in ids:
            path = self._path(f"candidates/{each}")
            try:
                data, stat = self._ask(self._kazoo.get_async(path))
                member = Member.from_json(json.loads(data))
            except NoNodeError:
                continue  # has left meanwhile
            except (KeyError, TypeError, ValueError) as exc:
                _logger.warning("%s at %s is not a candidate: %r", path, self.address, exc)
                continue
            if member.name not in found or found[member.name][0] < stat.czxid:
                found[member.name] = (stat.czxid, member)
        return [member for _, (_, member) in sorted(found.items())]

    # ---- within ----

    @property
    def _kazoo(self) -> KazooClient:
        client = self._client
        if client is None:
            raise ElectionUnavailable(f"{self.address}: not started, or closed")
        return client

    def _path(self, name: str) -> str:
        return f"{self.address.znode}/{name}"

    def _ask(self, asked: Any) -> Any:
        try:
            return asked.get(timeout=self._timeout)
        except (NoNodeError, NodeExistsError):
            raise
        except KazooTimeoutError as exc:
            raise ElectionUnavailable(
                f"{self.address} did not answer within {self._timeout:g} s"
            ) from exc
        except (NoAuthError, AuthFailedError) as exc:
            who = "these credentials have" if self.address.credentials else "nobody has"
            raise ElectionUnavailable(
                f"{who} the rights at {self.address} that an election needs",
                hint="zk://user:password@host:port/znode, with the candidates' credentials",
            ) from exc
        except KazooException as exc:
            raise ElectionUnavailable(f"{self.address} cannot be used: {exc!r}") from exc

    def _parse(self, name: str, data: bytes | None) -> Mapping[str, Any] | None:
        try:
            value = json.loads(data or b"")
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
        _logger.error("%s at %s holds no JSON object", self._path(name), self.address)
        return None

    # The following run in kazoo's threads and must not block. kazoo's DataWatch would do the same,
    # but asks twice before it tells that a znode has gone, which is what a hand-over waits for.

    def _look(self, name: str, event: WatchedEvent | None = None) -> None:
        """Asks for a znode and watches it from now on; told by a watch, tells at once."""
        if event is not None and event.type == EventType.DELETED:
            self._heard(name, Seen(None, None, time.monotonic()))
        client = self._client
        if client is not None and client.connected:  # else it will look when it is
            asked = client.get_async(self._path(name), watch=self._watches[name])
            asked.rawlink(partial(self._looked, name))

    def _looked(self, name: str, asked: Any) -> None:
        try:
            data, stat = asked.get_nowait()
        except NoNodeError:
            client = self._client
            if client is not None:
                absent = client.exists_async(self._path(name), watch=self._watches[name])
                absent.rawlink(partial(self._looked_for, name))
        except KazooException as exc:
            _logger.debug("%s at %s: %r", self._path(name), self.address, exc)
        else:
            value = self._parse(name, data)
            self._heard(name, Seen(value, stat.ephemeralOwner, time.monotonic()))

    def _looked_for(self, name: str, asked: Any) -> None:
        try:
            stat = asked.get_nowait()
        except KazooException as exc:
            _logger.debug("%s at %s: %r", self._path(name), self.address, exc)
            return
        if stat is None:
            self._heard(name, Seen(None, None, time.monotonic()))
        else:
            self._look(name)  # it came in between

    def _heard(self, name: str, seen: Seen) -> None:
        with self._changed:
            self._seen[name] = seen
            self._changed.notify_all()
        self._notify()

    def _state_changed(self, state: str) -> None:
        if state == KazooState.SUSPENDED:
            _logger.warning("%s: the connection is lost; the session may live on", self.address)
        elif state == KazooState.LOST:
            _logger.warning("%s: the session is over", self.address)
        else:
            _logger.info("%s: connected", self.address)
            for name in _WATCHED:
                self._look(name)
        self._notify()
