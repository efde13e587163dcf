"""Many calls on one connection, against a server that answers as a test wants it to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from aurora_store.framework.pipeline import Pipeline

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nbad"


class Server:
    """Accepts one connection, reads so many requests and answers with these bytes."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.received = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            for number, answer in enumerate(self._answers):
                while self.received.count(b"POST") <= number:
                    self.received += connection.recv(65536)
                connection.sendall(answer)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """Closed at the end of a test."""
    made: list[Server] = []
    yield made
    for server in made:
        server.close()


def post(servers: list[Server], answers: list[bytes], count: int) -> list[int]:
    servers.append(Server(answers))
    pipeline = Pipeline("127.0.0.1", servers[0].port, timeout=10.0)
    try:
        return pipeline.post("/path", {"Name": "value"}, [b"{}"] * count)
    finally:
        pipeline.close()


def test_each_call_has_its_answer(servers: list[Server]) -> None:
    assert post(servers, [ACCEPTED, REFUSED, ACCEPTED], 3) == [202, 400, 202]
    request = b"POST /path HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nName: value\r\nContent-Length: 2"
    assert servers[0].received.startswith(request % servers[0].port)


def test_more_calls_than_are_sent_at_once(servers: list[Server]) -> None:
    assert post(servers, [ACCEPTED] * 450, 450) == [202] * 450


@pytest.mark.parametrize("answer", [b"", ACCEPTED[:20], REFUSED[:-1], b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_connection_that_ends_or_is_no_http_is_an_error(
    servers: list[Server], answer: bytes
) -> None:
    with pytest.raises(OSError, match=r"the connection to 127\.0\.0\.1 is lost"):
        post(servers, [ACCEPTED, answer], 2)


def test_nobody_listens() -> None:
    with pytest.raises(OSError, match="refused"):
        Pipeline("127.0.0.1", 1, timeout=10.0).post("/", {}, [b""])
