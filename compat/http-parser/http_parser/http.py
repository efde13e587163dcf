"""`HttpParser`, with the methods that pymesos calls, for responses only."""

from __future__ import annotations

import httptools


class HttpParser:
    """Parses one HTTP response as its bytes arrive."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._headers_complete = False
        self._message_complete = False
        self._error: str | None = None

    def execute(self, data: bytes, length: int) -> int:
        """Takes the next bytes. Returns how many were parsed: `length`, or less on an error."""
        if self._error is None:
            try:
                self._parser.feed_data(data[:length])
            except httptools.HttpParserError as exc:
                self._error = str(exc) or type(exc).__name__
        return length if self._error is None else 0

    def get_errno(self) -> str | None:
        """What is wrong with the response, in words, or ``None``."""
        return self._error

    def is_headers_complete(self) -> bool:
        """Whether status and headers are there."""
        return self._headers_complete

    def is_message_complete(self) -> bool:
        """Whether the whole response is there."""
        return self._message_complete

    def get_status_code(self) -> int:
        """The status, once the headers are complete."""
        return int(self._parser.get_status_code())

    def get_headers(self) -> dict[str, str]:
        """The headers as they were spelled; the values of one that came twice are joined."""
        return self._headers

    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        codings = [
            value for name, value in self._headers.items() if name.lower() == "transfer-encoding"
        ]
        return any("chunked" in value.lower() for value in codings)

    def is_partial_body(self) -> bool:
        """Whether `recv_body` has something."""
        return bool(self._body)

    def recv_body(self) -> bytes:
        """What has arrived of the body since it was last called."""
        body = b"".join(self._body)
        self._body.clear()
        return body

    # Called by httptools.

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        key, text = name.decode("latin-1"), value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """The empty line after the headers."""
        self._headers_complete = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body, without the framing of chunks."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The end of the response."""
        self._message_complete = True
