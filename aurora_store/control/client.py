"""The end of the control socket that asks."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from aurora_store import errors
from aurora_store.control.wire import SILENCE_LIMIT_S, SOCKET_NAME, Lines, short_path
from aurora_store.errors import StoreError, StoreNotRunning, WaitTimeout

_CONNECT_LIMIT_S = 5.0

Progress = Callable[[str, int, int], None]


def ask(
    directory: str | os.PathLike[str],
    operation: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Asks the store that runs on a log directory to do something, and returns what it answers.

    However long it takes, but no longer than the store gives signs of life.

    Args:
        progress: is called with (step, done, total).

    Raises:
        StoreNotRunning: no store runs there, or it cannot be controlled.
        WaitTimeout: it gave no sign of life for 20 seconds.
        StoreError: what the operation raised, as the class it was.
    """
    path = Path(os.path.abspath(directory))
    with _connect(path) as connection:
        lines = Lines(connection)
        try:
            request = {"operation": operation, "arguments": dict(arguments or {})}
            with suppress(BrokenPipeError):  # it was refused, and the answer says why
                lines.send(request, timeout=_CONNECT_LIMIT_S)
            while (answer := lines.receive(timeout=SILENCE_LIMIT_S)) is not None:
                if answer["type"] == "result":
                    value: dict[str, Any] = answer["value"]
                    return value
                if answer["type"] == "error":
                    _raise(answer)
                if answer["type"] == "progress" and progress is not None:
                    progress(answer["step"], answer["done"], answer["total"])
        except TimeoutError:
            raise WaitTimeout(
                f"the store in {path} gave no sign of life for {SILENCE_LIMIT_S:g} s while it was"
                f" asked for: {operation}",
                hint="see whether its process is stopped, and its log",
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise _ended(path, operation) from exc
    raise _ended(path, operation)


def _connect(directory: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_CONNECT_LIMIT_S)
    try:
        with short_path(directory) as (_, path):
            connection.connect(path)
    except OSError as exc:
        connection.close()
        raise _unreachable(directory, exc) from exc
    return connection


def _unreachable(directory: Path, exc: OSError) -> StoreError:
    if isinstance(exc, PermissionError):
        return StoreError(
            f"{directory / SOCKET_NAME} may be used by its owner only: {exc.strerror}",
            hint="run the command as the user of the store's process",
        )
    if isinstance(exc, TimeoutError | BlockingIOError):
        return WaitTimeout(
            f"the store in {directory} takes no connection", hint="see whether it is stopped"
        )
    why = {
        FileNotFoundError: f"there is no {SOCKET_NAME} in it",
        ConnectionRefusedError: f"its process left {SOCKET_NAME} behind",
    }.get(type(exc), exc.strerror or str(exc))
    return StoreNotRunning(
        f"no store that can be controlled runs on log directory {directory}: {why}",
        hint="name the log directory of a running store, or see whether it was opened with"
        " control=False",
    )


def _ended(directory: Path, operation: str) -> StoreError:
    return StoreNotRunning(
        f"the store in {directory} ended before it answered: {operation}",
        hint="see the log of its process; what was asked for may have happened",
    )


def _raise(answer: dict[str, Any]) -> NoReturn:
    known = getattr(errors, answer["name"], None)
    if isinstance(known, type) and issubclass(known, StoreError):
        raise known(answer["message"], hint=answer["hint"])
    raise StoreError(f"{answer['name']}: {answer['message']}", hint=answer["hint"])
