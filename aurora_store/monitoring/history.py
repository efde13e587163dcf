"""What a monitoring server remembers: the latencies of the last minute, and the last progress."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from aurora_store.log import Position
from aurora_store.status import Latency, Status

_EVERY_S = 5.0
_SPAN_S = 60.0


@dataclass(frozen=True)
class Recent:
    """Latencies of the last minute, or since the server started if that was later.

    Attributes:
        seconds: how long that is.
    """

    seconds: float
    append_latency: Latency
    commit_latency: Latency


class History:
    """Looks at one store, of the last minute. Any thread may use it."""

    def __init__(self, status: Status) -> None:
        now = time.monotonic()
        self._lock = threading.Lock()
        # Guarded by _lock; oldest first, never empty.
        self._looks: deque[tuple[float, Latency, Latency]] = deque()
        self._looks.append((now, status.append_latency, status.commit_latency))
        self._moved_at = now
        self._position = status.position

    def due(self) -> bool:
        """Whether the last look is old enough for another one."""
        with self._lock:
            return time.monotonic() - self._looks[-1][0] >= _EVERY_S

    def note(self, status: Status) -> None:
        """A look at the store."""
        now = time.monotonic()
        with self._lock:
            self._note_position(status.position, now)
            self._looks.append((now, status.append_latency, status.commit_latency))
            # The first one is at least a minute old, once there is such a one.
            while len(self._looks) > 1 and now - self._looks[1][0] >= _SPAN_S:
                self._looks.popleft()

    def recent(self, status: Status) -> Recent:
        """What the latencies became since a minute ago."""
        with self._lock:
            at, appends, commits = self._looks[0]
        return Recent(
            time.monotonic() - at,
            status.append_latency.since(appends),
            status.commit_latency.since(commits),
        )

    def still_for(self, status: Status) -> float:
        """For how many seconds the position has not moved, as far as was looked."""
        now = time.monotonic()
        with self._lock:
            self._note_position(status.position, now)
            return now - self._moved_at

    def _note_position(self, position: Position, now: float) -> None:
        if position != self._position:
            self._position, self._moved_at = position, now
