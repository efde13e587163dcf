"""Many small HTTP calls on one connection, none of which waits for the answer to the one before."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import BinaryIO

_AT_ONCE = 200  # calls, so that neither side's buffers fill up before the answers are read


class Pipeline:
    """A connection to one server. For one thread at a time; connects when it is first used.

    Args:
        host, port: of the server.
        timeout: for each step, in seconds.
    """

    def __init__(self, host: str, port: int, *, timeout: float) -> None:
        self._address = (host, port)
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._answers: BinaryIO | None = None

    def post(self, path: str, headers: dict[str, str], bodies: Sequence[bytes]) -> list[int]:
        """Makes a call with each body; returns the status of each answer.

        Raises:
            OSError: the connection is lost; how many calls were taken is unknown.
        """
        lines = [f"POST {path} HTTP/1.1", f"Host: {self._address[0]}:{self._address[1]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\nContent-Length: ").encode("latin-1")
        statuses = []
        try:
            for begin in range(0, len(bodies), _AT_ONCE):
                some = bodies[begin : begin + _AT_ONCE]
                connection, answers = self._connected()
                connection.sendall(b"".join(b"%b%d\r\n\r\n%b" % (head, len(b), b) for b in some))
                statuses += [_read_answer(answers) for _ in some]
        except (OSError, ValueError) as exc:
            self.close()
            raise OSError(f"the connection to {self._address[0]} is lost: {exc}") from exc
        return statuses

    def close(self) -> None:
        """Ends the connection. Idempotent."""
        if self._answers is not None:
            self._answers.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._answers = None

    def _connected(self) -> tuple[socket.socket, BinaryIO]:
        if self._socket is None or self._answers is None:
            self._socket = socket.create_connection(self._address, self._timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._answers = self._socket.makefile("rb")
        return self._socket, self._answers


def _read_answer(answers: BinaryIO) -> int:
    status = answers.readline()
    if not status.startswith(b"HTTP/1."):
        raise ValueError(f"no HTTP answer: {status!r}")
    length = 0
    while (line := answers.readline()) not in (b"\r\n", b"\n"):
        if not line:
            raise ValueError("the answer ends within its headers")
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    if len(answers.read(length)) < length:
        raise ValueError("the answer ends within its body")
    return int(status.split()[1])
