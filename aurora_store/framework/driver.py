"""pymesos's driver, tied to a store: what it sends waits for what is written with it.

Calls, events and the way to the master in ZooKeeper are pymesos's. The connection is not, because
a scheduler that fails over needs more of it: pymesos subscribes again whoever leads by now, tears
the framework down when its thread fails, interrupts the main thread then, never notices a master
that fell silent, and cannot be stopped while it waits for one. Here:

- Before each subscription this replica proves, by a commit, that it leads. An old leader that comes
  back to life is refused, instead of taking the stream of events from the new one.
- A stream that is silent for five heartbeats is given up.
- An error is an answer, of `problem` or to `on_refused`; the main thread hears nothing of it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError
from pymesos import MesosSchedulerDriver
from sqlalchemy.orm import Session

from aurora_store.errors import FrameworkRemoved, RegistrationRefused, StoreError, WriterBusy
from aurora_store.framework.pipeline import Pipeline
from aurora_store.recordio import records
from aurora_store.store import Store

_logger = logging.getLogger("aurora_store.framework")

_PATH = "/api/v1/scheduler"
_ANSWER_LIMIT_S = 10.0
_HEARTBEAT_S = 15.0  # unless the master says otherwise
_SILENCE = 5  # heartbeats
_PAUSE_S = (0.1, 5.0)  # between attempts to subscribe: the first, and the longest
_RETRY = (http.client.SERVICE_UNAVAILABLE, http.client.INTERNAL_SERVER_ERROR)


class Listener(Protocol):
    """Who hears what becomes of a driver, from its thread. Nothing here may block for long."""

    def on_deposed(self, reason: str) -> None:
        """This replica leads no more. The driver subscribes no more either."""

    def on_refused(self, error: RegistrationRefused) -> None:
        """The master refuses the framework. The driver does not try again."""


class Driver(MesosSchedulerDriver):  # type: ignore[misc]  # pymesos has no types
    """The driver of one reign: `start` it once, `stop` it once. Any thread may use it.

    The methods of pymesos's driver are there (``launchTasks``, ``acceptOffers``, ``killTask``,
    ``reviveOffers`` ...). Within a `transaction` of the same thread, as in every callback of a
    scheduler, what they send waits for its commit; elsewhere it is sent at once.
    """

    stream_id: str | None  # of pymesos's driver

    def __init__(
        self,
        store: Store,
        events: Any,
        *,
        info: dict[str, Any],
        master: str,
        claim: Callable[[], str | None],
        listener: Listener,
        principal: str | None = None,
        secret: str | None = None,
    ) -> None:
        """See `aurora_store.framework.Framework`, which makes it.

        Args:
            events: a pymesos scheduler; called by the driver's thread.
            claim: proves that this replica leads and returns the framework's id, if it has one.
        """
        super().__init__(
            events,
            dict(info),
            master,
            implicit_acknowledgements=False,
            principal=principal,
            secret=secret,
            failover=True,
        )
        self._store = store
        self._claim = claim
        self._listener = listener
        self._local = threading.local()
        self._wake = threading.Event()
        self._new_master: str | None = None
        # pymesos holds its own lock while it waits for the answer to a call.
        self._stream_lock = threading.Lock()
        self._stream: socket.socket | None = None  # guarded by _stream_lock
        self._pipeline: Pipeline | None = None  # guarded by _acknowledging
        self._acknowledging = threading.Lock()
        self.problem = "no master is known yet"
        """Why it is not connected, when it is not."""
        self.disconnected_since: float | None = time.monotonic()
        """By `time.monotonic`; ``None`` while it is connected."""
        self.on_lost_call: Callable[[], None] = lambda: None
        """Called, by whoever sent it, when it is unknown whether Mesos has got a call."""

    # ---- transactions ----

    @property
    def session(self) -> Session:
        """The session of the transaction that this thread is in.

        Raises:
            RuntimeError: it is in none.
        """
        session: Session | None = getattr(self._local, "session", None)
        if session is None:
            raise RuntimeError(
                "driver.session is there within a callback, or within driver.transaction()"
            )
        return session

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction that writes; what this thread asks of the driver is sent after its commit.

        For threads other than the callbacks'. The write lock is taken with the first statement.

        Raises:
            NotLeader, LeadershipLost, WriterBusy: nothing was written, and nothing is sent.
            CommitOutcomeUnknown: nothing is sent; the next leader settles what was written.
        """
        if getattr(self._local, "session", None) is not None:
            raise RuntimeError("this thread is in a transaction already")
        calls: list[dict[str, Any]] = []
        with Session(self._store.engine) as session:
            self._local.session, self._local.calls = session, calls
            try:
                yield session
                session.commit()
            finally:
                self._local.session = self._local.calls = None
        for call in calls:
            self._send(call)

    # ---- sending ----

    def _send(self, body: Any, *_: Any, **__: Any) -> Any:
        # All calls of pymesos's driver come through here.
        waiting: list[dict[str, Any]] | None = getattr(self._local, "calls", None)
        if waiting is not None:
            waiting.append(body)
            return {}
        if not self._started:
            _logger.info("not sent, as the driver is stopped: %s", body["type"])
            return {}
        try:
            return super()._send(body, _PATH, "POST", {})
        except (OSError, http.client.HTTPException, RuntimeError) as exc:
            _logger.warning("%s: perhaps not received by the master: %s", body["type"], exc)
            self.on_lost_call()
            return {}

    def acknowledge(self, updates: Sequence[dict[str, Any]]) -> int:
        """Acknowledges many status updates at once; returns how many of them the master took.

        Mesos sends those again that it did not take.
        """
        stream_id, master = self.stream_id, self.master
        if stream_id is None or master is None or not self._started:
            return 0
        framework_id = {"value": self.framework_id}
        bodies = [
            json.dumps(
                {
                    "type": "ACKNOWLEDGE",
                    "framework_id": framework_id,
                    "acknowledge": {key: update[key] for key in ("agent_id", "task_id", "uuid")},
                }
            ).encode()
            for update in updates
            if "uuid" in update
        ]
        headers = {**self._headers(), "Mesos-Stream-Id": stream_id}
        with self._acknowledging:
            # An acknowledgement that comes twice does no harm, and the master may have closed a
            # connection that was idle.
            for _ in range(2):
                if self._pipeline is None:
                    self._pipeline = Pipeline(*_split(master), timeout=_ANSWER_LIMIT_S)
                try:
                    statuses = self._pipeline.post(_PATH, headers, bodies)
                except OSError as exc:
                    _logger.warning("acknowledging %d status updates: %s", len(bodies), exc)
                    self._pipeline = None
                    continue
                return statuses.count(http.client.ACCEPTED)
        return 0

    def acknowledgeStatusUpdate(self, status: dict[str, Any]) -> None:  # noqa: N802
        """Does nothing: updates are acknowledged once they are durable."""

    # ---- life ----

    @property
    def framework(self) -> dict[str, Any]:
        """The ``FrameworkInfo``, as it was given."""
        return dict(self._framework)

    def start(self) -> None:
        """Subscribes from now on, and again whenever the connection is lost.

        Raises:
            StoreError: ZooKeeper, where the master is to be found, cannot be reached.
        """
        self._started = True
        self._io_thread = threading.Thread(target=self._run, name="mesos driver", daemon=True)
        self._io_thread.start()
        if not self.master_uri.startswith("zk://"):
            self.change_master(self.master_uri)
            return
        from pymesos.detector import MasterDetector

        self.detector = MasterDetector(self.master_uri[len("zk://") :], self)
        try:
            self.detector.start()
        except (KazooTimeoutError, KazooException) as exc:
            raise StoreError(
                f"cannot look up the Mesos master at {self.master_uri}: {exc}",
                hint="see whether ZooKeeper runs there: echo srvr | nc HOST PORT",
            ) from exc

    def stop(self, failover: bool = True) -> None:
        """Ends the subscription at once. No callback begins afterwards.

        Args:
            failover: the framework and its tasks live on for its failover timeout; otherwise Mesos
                ends them all, for ever. That is not for callbacks.
        """
        if not failover:
            if getattr(self._local, "session", None) is not None:
                raise RuntimeError("a framework cannot be torn down within a transaction")
            self._teardown()
        self._started = False
        self._cut()
        detector, self.detector = self.detector, None
        if detector is not None:
            detector.stop()
        with self._acknowledging:
            if self._pipeline is not None:
                self._pipeline.close()
                self._pipeline = None

    def join(self, timeout: float | None = None) -> None:
        """Waits until the driver's thread has ended."""
        if self._io_thread is not None and self._io_thread is not threading.current_thread():
            self._io_thread.join(timeout)

    def change_master(self, new_master: str | None) -> None:
        """Called when another master was elected, or none: subscribes there."""
        if new_master != self._new_master:
            self._new_master = new_master
            self._cut()

    def reconnect(self) -> None:
        """Gives up the connection, if there is one, and subscribes again."""
        self._cut()

    # ---- the driver's thread ----

    def _run(self) -> None:
        failures = 0
        while self._started:
            self._wake.clear()
            self._master = self._new_master
            if self._master is None:
                self.problem = f"no master is elected at {self.master_uri}"
                self._wake.wait(_PAUSE_S[1])
                continue
            try:
                self._follow(self._master)
                self.problem, failures = f"the master at {self._master} ended the stream", 0
            except RegistrationRefused as exc:
                self.problem = exc.message
                if self._started:
                    self._listener.on_refused(exc)
                return
            except WriterBusy as exc:
                self.problem = exc.message
            except StoreError as exc:
                self.problem = exc.message
                if self._started:
                    self._listener.on_deposed(exc.message)
                return
            except (OSError, http.client.HTTPException, ValueError, KeyError) as exc:
                self.problem = f"the master at {self._master}: {str(exc) or repr(exc)}"
            except Exception as exc:
                _logger.exception("the connection with the master")
                self.problem = repr(exc)
            finally:
                self._disconnected()
            if self._started and self._new_master == self._master:
                _logger.warning("not connected: %s", self.problem)
                failures += 1
                longest = min(_PAUSE_S[1], _PAUSE_S[0] * 2**failures)
                self._wake.wait(random.uniform(longest / 2, longest))

    def _follow(self, master: str) -> None:
        """Subscribes, and handles events until the stream ends."""
        framework_id = self._claim()
        subscribe: dict[str, Any] = {"framework_info": self.framework}
        request: dict[str, Any] = {"type": "SUBSCRIBE", "subscribe": subscribe}
        if framework_id is not None:
            self.framework_id = framework_id
            subscribe["framework_info"] = self.framework
            request["framework_id"] = {"value": framework_id}
        with contextlib.closing(http.client.HTTPConnection(*_split(master))) as connection:
            connection.timeout = _ANSWER_LIMIT_S
            connection.connect()
            stream = connection.sock
            with self._stream_lock:
                if not self._started:
                    return
                self._stream = stream
            connection.request("POST", _PATH, json.dumps(request), self._headers())
            response = connection.getresponse()
            self._check(response, master)
            stream.settimeout(_SILENCE * _HEARTBEAT_S)
            self.stream_id = response.headers.get("Mesos-Stream-Id", "")
            for event in records(response):
                if not self._started:
                    return
                if event["type"] == "SUBSCRIBED":
                    every = event["subscribed"].get("heartbeat_interval_seconds", _HEARTBEAT_S)
                    stream.settimeout(_SILENCE * every)
                    self.version = event["subscribed"].get("master_info", {}).get("version")
                    self.disconnected_since = None
                self.process_event(event)

    def _check(self, response: http.client.HTTPResponse, master: str) -> None:
        if response.status == http.client.OK:
            return
        if response.status == http.client.TEMPORARY_REDIRECT:
            location = urlsplit(response.headers["Location"], "http")
            leading = location.netloc or location.path.lstrip("/").partition("/")[0]
            self._new_master = leading
            raise OSError(f"{leading} leads")
        said = response.read(1000).decode(errors="replace").strip()
        if response.status in _RETRY:
            raise OSError(f"it is not ready: HTTP {response.status} {said}")
        raise RegistrationRefused(
            f"the master at {master} refuses the framework: HTTP {response.status} {said}",
            hint="see the description, the principal and the secret that it is given",
        )

    def on_error(self, event: dict[str, Any]) -> None:
        """Of pymesos's driver: the master ends the stream for good, and says why."""
        message = event["message"]
        if "failed over" in message:
            # Another scheduler has this framework's id: a newer leader, or an old one that will
            # be refused. The commit before the next subscription tells.
            raise OSError(f"another scheduler took over: {message}")
        if "removed" in message or "completed" in message:
            raise FrameworkRemoved(
                f"the master at {self.master} has removed the framework {self.framework_id}:"
                f" {message}. Its tasks are gone, and the id is of no more use",
                hint="start every candidate again, telling it to forget this id:"
                f" Framework(..., forget={self.framework_id!r}), or --forget-framework"
                f" {self.framework_id} for the example",
            )
        raise RegistrationRefused(f"the master at {self.master} refuses the framework: {message}")

    def on_close(self) -> None:
        """Of pymesos's driver."""
        self._close()
        if self._started:
            self.sched.disconnected(self)

    def _disconnected(self) -> None:
        with self._stream_lock:
            self._stream = None
        connected = self.connected
        self.stream_id = None
        if self.disconnected_since is None:
            self.disconnected_since = time.monotonic()
        with self._acknowledging:
            if self._pipeline is not None:
                self._pipeline.close()
                self._pipeline = None
        if connected:
            self.on_close()

    def _cut(self) -> None:
        self._wake.set()
        with self._stream_lock, contextlib.suppress(OSError):
            if self._stream is not None:
                self._stream.shutdown(socket.SHUT_RDWR)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._basic_credential is not None:
            headers["Authorization"] = self._basic_credential
        return headers


def _split(master: str) -> tuple[str, int]:
    host, _, port = master.rpartition(":")
    return host, int(port)
