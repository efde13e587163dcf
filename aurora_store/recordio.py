"""RecordIO, as Mesos's HTTP APIs stream it: the length in decimal, a newline, JSON."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

_PIECE_BYTES = 1 << 16


def records(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The messages of a stream, as they arrive, until it ends.

    Raises:
        OSError, http.client.HTTPException: the connection is lost.
    """
    buffered = b""
    while piece := response.read1(_PIECE_BYTES):
        buffered += piece
        begin = 0
        while (newline := buffered.find(b"\n", begin)) >= 0:
            end = newline + 1 + int(buffered[begin:newline])
            if end > len(buffered):
                break
            yield json.loads(buffered[newline + 1 : end])
            begin = end
        buffered = buffered[begin:]
