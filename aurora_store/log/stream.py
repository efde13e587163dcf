"""Reading a range of the log, or following it, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aurora_store.errors import WaitTimeout
from aurora_store.log.outcomes import fail
from aurora_store.log.position import Entry, Position
from aurora_store.native import call, ffi, lib

if TYPE_CHECKING:
    from aurora_store.log.log import Log


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stream is."""

    entries: int
    """Handed out so far."""

    bytes: int
    """Handed out so far."""

    next: Position
    """Everything before it was handed out, or holds no entry."""

    ending: Position
    """The end of the log as last seen."""

    catchups: int
    """How often the local replica had to ask the others for what it lacked."""


class Stream:
    """Iterates over the entries of a log, in order and without a gap. Made by `Log.stream`.

    One thread may iterate; any thread may `cancel` or look at `progress`.
    """

    def __init__(
        self,
        log: Log,
        *,
        from_: int | None,
        to: int | None,
        window_bytes: int,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._log = log  # must outlive the native stream
        self._report = progress
        self._entries: deque[Entry] = deque()
        options = ffi.new("aur_stream_options *")
        options.from_beginning = from_ is None
        setattr(options, "from", from_ or 0)
        options.has_to = to is not None
        options.to = to or 0
        options.window_bytes = window_bytes
        native = lib.aur_stream_open(log.handle, options)
        if native == ffi.NULL:
            raise MemoryError("cannot start another stream")
        self._native = ffi.gc(native, lib.aur_stream_free)

    def __iter__(self) -> Iterator[Entry]:
        return self

    def __next__(self) -> Entry:
        entry = self.next(timeout=float("inf"))
        if entry is None:
            raise StopIteration
        return entry

    def next(self, *, timeout: float) -> Entry | None:
        """The next entry, or ``None`` after the last one that was asked for.

        Raises:
            WaitTimeout: no entry came within `timeout` seconds; call again.
            LogTruncated: the log was truncated past what is wanted next.
            StoreClosed: the stream was cancelled or the log closed.
            LogUnavailable: the log cannot be read.
        """
        if not self._entries and not self._fetch(timeout):
            return None
        return self._entries.popleft()

    def _fetch(self, timeout: float) -> bool:
        entries, outcome = call(lib.aur_stream_next, self._native, timeout)
        if outcome.status == lib.AUR_END:
            return False
        if outcome.status == lib.AUR_NO_ANSWER:
            raise WaitTimeout(f"no entry at {self.progress.next} or later within {timeout:g} s")
        if outcome.status != lib.AUR_OK:
            fail(outcome, f"go on reading the log at {self.progress.next}")
        self._entries.extend(take_entries(entries))
        if self._report is not None:
            self._report(self.progress)
        return True

    @property
    def progress(self) -> Progress:
        """How far the stream is; entries that wait to be iterated over count as handed out."""
        now = ffi.new("aur_stream_progress *")
        lib.aur_stream_get_progress(self._native, now)
        return Progress(
            now.entries, now.bytes, Position(now.next), Position(now.ending), now.catchups
        )

    def cancel(self) -> None:
        """Ends the iteration in any thread with `StoreClosed`."""
        lib.aur_stream_cancel(self._native)

    def forget(self) -> None:
        """Of `Log`, in the child of a fork: leaves what belongs to the parent alone."""
        ffi.gc(self._native, None)

    def close(self) -> None:
        """Cancels, and gives back what the stream holds; the log does so too when it is closed."""
        self.cancel()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def take_entries(entries: Any) -> Iterator[Entry]:
    """The entries of a native list, which is freed."""
    owned = ffi.gc(entries, lib.aur_entries_free)
    position, data, size = ffi.new("uint64_t *"), ffi.new("char **"), ffi.new("size_t *")
    for index in range(lib.aur_entries_count(owned)):
        lib.aur_entries_get(owned, index, position, data, size)
        yield Entry(Position(position[0]), bytes(ffi.buffer(data[0], size[0])))
    ffi.release(owned)
