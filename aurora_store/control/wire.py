"""What both ends of the control socket agree on: its place, its lines, its limits."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET_NAME = "control.sock"
MOST_BYTES = 1 << 20  # of a line
ALIVE_EVERY_S = 2.0
SILENCE_LIMIT_S = 20.0  # after which an answer does not come any more


@contextmanager
def short_path(directory: Path) -> Iterator[tuple[int, str]]:
    """The directory as a file descriptor, and a path of the socket that fits a socket's address.

    An address has 108 bytes, fewer than many directories.
    """
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor, f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


class Lines:
    """JSON documents, one a line, over a socket. Each end reads and writes in one thread at a time.

    Args:
        connection: is closed by whoever made it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._read = bytearray()

    def send(self, document: Mapping[str, Any], *, timeout: float) -> None:
        """Sends one document.

        Raises:
            OSError: the other end has gone, or takes nothing within `timeout` seconds.
        """
        self._connection.settimeout(timeout)
        self._connection.sendall(json.dumps(document).encode() + b"\n")

    def receive(self, *, timeout: float) -> dict[str, Any] | None:
        """The next document; ``None`` if the other end has gone.

        Raises:
            TimeoutError: there was none within `timeout` seconds.
            ValueError: what came is no JSON object, or longer than a line may be.
            OSError: the connection failed.
        """
        deadline = time.monotonic() + timeout
        while b"\n" not in self._read:
            if len(self._read) > MOST_BYTES:
                raise ValueError(f"a line has at most {MOST_BYTES} bytes")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            received = self._connection.recv(1 << 16)
            if not received:
                return None
            self._read += received
        line, _, rest = bytes(self._read).partition(b"\n")
        self._read = bytearray(rest)
        document = json.loads(line)
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        return document
