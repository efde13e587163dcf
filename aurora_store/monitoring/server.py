"""A small HTTP server in a replica: ``/metrics``, ``/healthz``, ``/status``."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from aurora_store.monitoring.access import Token, listening_address, token_of
from aurora_store.monitoring.history import History
from aurora_store.monitoring.metrics import StoreCollector
from aurora_store.monitoring.report import health, status_document

if TYPE_CHECKING:
    from aurora_store.election import Candidate
    from aurora_store.store import Store

_logger = logging.getLogger("aurora_store.monitoring")

_MOST_REQUESTS = 8  # at a time
_WAIT_FOR_A_PLACE_S = 1.0
_REQUEST_LIMIT_S = 5.0  # from the connection to the last byte of the request
_ANSWER_LIMIT_S = 10.0
_MOST_BYTES = 16 * 1024  # of a request
_LOOK_EVERY_S = 0.5

_Answer = tuple[HTTPStatus, str, bytes]


class MonitoringServer:
    """Serves metrics, health and status of a store from now on, in threads of its own.

    It reads the store and changes nothing. `close` it before or after the store, as you like.

    Args:
        candidate: of the store, if it stands for election; may be set later, as an attribute.
        address: ``host:port``; port 0: any free one. Whoever reaches it may read.
        token: what requests must bring as ``Authorization: Bearer TOKEN``, 16 characters at least.
            Without one only loopback addresses can be listened on. HTTP does not hide it: use a
            trusted network, or a proxy with TLS.
        token_file: the same, in a file of mode 0600.

    Raises:
        ValueError: the address needs a token, or one of them is not what it should be.
        OSError: the address cannot be listened on, or the file not be read.
    """

    def __init__(
        self,
        store: Store,
        *,
        candidate: Candidate | None = None,
        address: str = "127.0.0.1:0",
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self._store = store
        self._history = History(store.status())
        self._collector = StoreCollector(store, candidate)
        self.registry = CollectorRegistry()
        """What ``/metrics`` shows; the application may register collectors of its own."""
        self.registry.register(self._collector)
        ProcessCollector(registry=self.registry)
        secret = token_of(token, token_file)
        family, host, port = listening_address(address, secret)
        pages = {"/metrics": self._metrics, "/healthz": self._healthz, "/status": self._status}
        try:
            self._server = _Server(family, (host, port), pages, secret, self._tick)
        except OSError as exc:
            message = f"the monitoring server cannot listen on {address}: {exc.strerror}"
            raise OSError(exc.errno, message) from exc
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_LOOK_EVERY_S,),
            name="monitoring server",
            daemon=True,
        )
        self._thread.start()

    @property
    def address(self) -> str:
        """``host:port`` that it listens on."""
        host, port, *_ = self._server.server_address
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    @property
    def candidate(self) -> Candidate | None:
        """Whose state is told, too."""
        return self._collector.candidate

    @candidate.setter
    def candidate(self, candidate: Candidate | None) -> None:
        self._collector.candidate = candidate

    def close(self) -> None:
        """Stops listening. Idempotent. Waits a second at most."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> MonitoringServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tick(self) -> None:
        """Of the thread that listens, twice a second and at each request."""
        if self._history.due():
            self._history.note(self._store.status())

    def _metrics(self, accept: str) -> _Answer:
        encode, content_type = choose_encoder(accept)
        return HTTPStatus.OK, content_type, encode(self.registry)

    def _healthz(self, accept: str) -> _Answer:
        code, document = health(self._store, self.candidate, self._history)
        return code, *_json(document)

    def _status(self, accept: str) -> _Answer:
        return HTTPStatus.OK, *_json(status_document(self._store, self.candidate, self._history))


def _json(document: dict[str, Any]) -> tuple[str, bytes]:
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return "application/json; charset=utf-8", text.encode() + b"\n"


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread per request, so many at most; a request that finds no place is told so."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(
        self,
        family: socket.AddressFamily,
        address: tuple[str, int],
        pages: Mapping[str, Callable[[str], _Answer]],
        token: Token | None,
        tick: Callable[[], None],
    ) -> None:
        self.address_family = family
        self.pages = pages
        self.token = token
        self._tick = tick
        self._places = threading.BoundedSemaphore(_MOST_REQUESTS)
        super().__init__(address, _Handler)

    def service_actions(self) -> None:
        self._tick()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(timeout=_WAIT_FOR_A_PLACE_S):
            request.settimeout(0)
            request.sendall(b"HTTP/1.0 503 Too many requests\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that has gone, most likely; what went wrong on our side was answered with 500.
        _logger.debug("a request of %s ended early", client_address, exc_info=True)


class _TooLarge(Exception):
    """A request has more bytes than it may."""


class _Request(io.RawIOBase):
    """The bytes of one request, so many and for so long at most."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + _REQUEST_LIMIT_S
        self._left = _MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        time_left = self._deadline - time.monotonic()
        if time_left <= 0:
            raise TimeoutError("the request takes too long")
        if self._left == 0:
            raise _TooLarge
        self._connection.settimeout(time_left)
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


class _Handler(BaseHTTPRequestHandler):
    """One connection with one request: HTTP/1.0 keeps none open."""

    server: _Server
    server_version = "aurora-store"
    sys_version = ""
    default_request_version = "HTTP/1.0"  # what is less gets an answer with a status, too
    request_version = default_request_version
    command = requestline = ""  # until they are read

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Request(self.connection))

    def handle(self) -> None:
        try:
            super().handle()
        except _TooLarge:
            self.send_error(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                explain=f"a request has at most {_MOST_BYTES} bytes",
            )

    def do_GET(self) -> None:  # noqa: N802  (named by http.server)
        token = self.server.token
        if token is not None and not token.permits(self.headers.get("Authorization")):
            self.send_error(HTTPStatus.UNAUTHORIZED, explain="Authorization: Bearer TOKEN")
            return
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            known = ", ".join(self.server.pages)
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"there are: {known}")
            return
        try:
            code, content_type, body = page(self.headers.get("Accept", ""))
        except Exception as exc:
            _logger.exception("%s", self.path.partition("?")[0])
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=repr(exc))
            return
        self._send(code, content_type, body)

    do_HEAD = do_GET  # noqa: N815  (named by http.server)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """As JSON; of http.server's own errors, too."""
        status = HTTPStatus(code)
        self.close_connection = True
        why = f"{message or status.phrase}{f': {explain}' if explain else ''}"
        self._send(status, *_json({"error": why}))

    def _send(self, code: HTTPStatus, content_type: str, body: bytes) -> None:
        self.connection.settimeout(_ANSWER_LIMIT_S)
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if code is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Without headers and query: these may be secret."""
        path = getattr(self, "path", "").partition("?")[0]
        _logger.debug("%s %s %s %d", self.client_address[0], self.command, path, code)

    def log_message(self, *_: Any) -> None:
        """Nothing else."""
