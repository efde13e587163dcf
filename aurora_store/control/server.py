"""The end of the control socket that a store listens on."""

from __future__ import annotations

import logging
import os
import socket
import stat
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aurora_store.control.operations import OPERATIONS
from aurora_store.control.wire import ALIVE_EVERY_S, SOCKET_NAME, Lines, short_path
from aurora_store.errors import StoreError

if TYPE_CHECKING:
    from aurora_store.store import Store

_logger = logging.getLogger("aurora_store.control")

_MOST_REQUESTS = 8  # at a time
_REQUEST_LIMIT_S = 5.0  # from the connection to the end of the request's line
_SEND_LIMIT_S = 5.0
_PEER = struct.Struct("3i")  # struct ucred: process, user, group


class ControlServer:
    """Listens in the store's log directory from now on, in threads of its own.

    The caller holds the lock of that directory: a socket which is there already is what a process
    left behind that was killed, and is replaced.

    Raises:
        OSError: the socket cannot be made.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._directory = store.log.directory
        self._places = threading.BoundedSemaphore(_MOST_REQUESTS)
        self._closed = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.fchmod(self._listener.fileno(), 0o600)  # what the file gets at its birth
            with short_path(self._directory) as (descriptor, path):
                with suppress(FileNotFoundError):
                    left_behind = os.lstat(SOCKET_NAME, dir_fd=descriptor)
                    if not stat.S_ISSOCK(left_behind.st_mode):
                        raise FileExistsError(f"{SOCKET_NAME} is there and is no socket")
                    os.unlink(SOCKET_NAME, dir_fd=descriptor)
                self._listener.bind(path)
                self._identity = _identity(os.lstat(SOCKET_NAME, dir_fd=descriptor))
            self._listener.listen(_MOST_REQUESTS)
        except BaseException:
            self._listener.close()
            raise
        self._thread = threading.Thread(target=self._listen, name="control socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening and removes the socket. What is under way goes on. Idempotent."""
        if self._closed:
            return
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        with suppress(OSError), short_path(self._directory) as (descriptor, _):
            if _identity(os.lstat(SOCKET_NAME, dir_fd=descriptor)) == self._identity:
                os.unlink(SOCKET_NAME, dir_fd=descriptor)

    def _listen(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError as exc:
                if self._closed:
                    return
                _logger.warning("the control socket took no connection: %s", exc)
                threading.Event().wait(1.0)  # no more files, most likely
                continue
            if not self._places.acquire(blocking=False):
                _refuse(connection, f"{_MOST_REQUESTS} requests are under way already")
                continue
            thread = threading.Thread(
                target=self._serve, args=(connection,), name="control request", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                self._places.release()
                _refuse(connection, "there are no threads left for it")

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                _Request(self._store, connection).serve()
        except OSError as exc:
            _logger.debug("a control request ended early: %s", exc)
        finally:
            self._places.release()


class _Request:
    """One connection: a request and its answer."""

    def __init__(self, store: Store, connection: socket.socket) -> None:
        self._store = store
        self._connection = connection
        self._lines = Lines(connection)
        self._sending = threading.Lock()
        self._done = threading.Event()
        self._gone = False

    def serve(self) -> None:
        process, user, _ = _PEER.unpack(
            self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        )
        if user not in (0, os.geteuid()):
            self._send(_error(StoreError(f"user {user} may not control a store of another user")))
            return
        try:
            request = self._lines.receive(timeout=_REQUEST_LIMIT_S)
        except ValueError as exc:
            self._send(_error(StoreError(f"the request was not understood: {exc}")))
            return
        except TimeoutError:
            self._send(_error(StoreError("the request took too long to come")))
            return
        if request is None:
            return
        name, arguments = request.get("operation"), request.get("arguments", {})
        _logger.info("process %d asks for %r", process, name)
        alive = threading.Thread(target=self._stay_alive, name="control alive", daemon=True)
        alive.start()
        try:
            answer = self._answer(name, arguments)
        finally:
            self._done.set()
            alive.join()
        self._send(answer)

    def _answer(self, name: Any, arguments: Any) -> dict[str, Any]:
        run = OPERATIONS.get(name) if isinstance(name, str) else None
        if run is None or not isinstance(arguments, dict):
            known = ", ".join(sorted(OPERATIONS))
            return _error(StoreError(f"there is no operation {name!r}; there are: {known}"))
        try:
            return {"type": "result", "value": run(self._store, arguments, self._progress)}
        except (StoreError, OSError) as exc:
            return _error(exc)
        except Exception as exc:
            _logger.exception("the control operation %s", name)
            return _error(exc)

    def _progress(self, step: str, done: int, total: int) -> None:
        if self._gone:
            raise ConnectionAbortedError("whoever asked has gone")
        self._send({"type": "progress", "step": step, "done": done, "total": total})

    def _stay_alive(self) -> None:
        with suppress(OSError):
            while not self._done.wait(ALIVE_EVERY_S):
                self._send({"type": "alive"})

    def _send(self, document: dict[str, Any]) -> None:
        try:
            with self._sending:
                self._lines.send(document, timeout=_SEND_LIMIT_S)
        except OSError:
            self._gone = True
            raise


def listen(store: Store) -> ControlServer | None:
    """A server for this store; ``None``, and a warning, if its socket cannot be made.

    A scheduler can do without being controlled.
    """
    try:
        return ControlServer(store)
    except OSError as exc:
        _logger.warning(
            "the store in %s cannot be controlled, for its control socket cannot be made: %s",
            store.log.directory,
            exc,
        )
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _error(exc: Exception) -> dict[str, Any]:
    error = exc if isinstance(exc, StoreError) else StoreError(str(exc))
    return {
        "type": "error",
        "name": type(exc).__name__,
        "message": error.message,
        "hint": error.hint,
        "code": error.exit_code,
    }


def _refuse(connection: socket.socket, why: str) -> None:
    with suppress(OSError), connection:
        answer = _error(StoreError(f"the store does not take the request: {why}", hint="try again"))
        Lines(connection).send(answer, timeout=0.1)
