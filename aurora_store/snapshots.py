"""Snapshots: the whole database of one version, as entries of the log beside the transactions.

A replica that starts reads the newest complete one and what came after, so the log before it can
be given up. `Store.snapshot`, `Store.snapshots`, `Store.verify_snapshot` and `Store.truncate` lead
here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from aurora_store.errors import (
    CommitOutcomeUnknown,
    Corrupt,
    FormatTooNew,
    LogTruncated,
    LogUnavailable,
    NoSuchSnapshot,
    NotLeader,
    SnapshotAbandoned,
    StoreClosed,
    StoreError,
    TruncationRefused,
    WaitTimeout,
)
from aurora_store.log import Position
from aurora_store.native import Outcome, call, ffi, lib
from aurora_store.record import Kind, read_record, time_of
from aurora_store.status import PAGE_BYTES, State

if TYPE_CHECKING:
    from aurora_store.store import Store

__all__ = ["ProgressReport", "Snapshot", "list_snapshots", "take", "truncate", "verify"]

ProgressReport = Callable[[str, int, int], None]
"""Is called now and then with what is done ("snapshot", "verify"), pages done, pages in all."""

_logger = logging.getLogger("aurora_store.snapshots")

_POLL_S: Final = 0.02
_LIST_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A complete snapshot in the log.

    Attributes:
        position: where it begins: the log may be truncated up to here.
        end: of its last entry. Of older snapshots only known, as are `chunks` and `bytes`, once
            they were read back (`Store.verify_snapshot`).
        time: the leader's clock when it began, in UTC.
        epoch: the reign it began in.
        version: of the database in it.
        pages: size of that database, in pages of 4096 bytes.
        checksum: of that database.
        chunks: entries with its pages.
        bytes: of these entries in the log.
    """

    position: Position
    time: datetime
    epoch: int
    version: int
    pages: int
    checksum: int
    end: Position | None = None
    chunks: int | None = None
    bytes: int | None = None

    @property
    def database_bytes(self) -> int:
        """Size of the database in it."""
        return self.pages * PAGE_BYTES


def tell_start(store: Store) -> None:
    """Logs that this replica's copy began with a snapshot: new, wiped, or away for too long."""
    status = store.status()
    if status.snapshot.started_from:
        _logger.info("%s: %s", store.log.directory, status.reason)


def take(store: Store, native: Any, *, timeout: float, progress: ProgressReport | None) -> Snapshot:
    """Of `Store.snapshot`."""
    deadline = time.monotonic() + timeout
    _, outcome = call(lib.aur_store_snapshot, native, timeout)
    if outcome.status == lib.AUR_NONE:
        raise NotLeader(f"cannot take a snapshot: {outcome.reason}", hint="ask the leader")
    if outcome.status != lib.AUR_OK:
        _fail(outcome, "take a snapshot")
    begin = outcome.position
    while True:
        status = store.status()
        now = status.snapshot
        if now.position >= begin:
            if progress is not None:
                progress("snapshot", now.pages, now.pages)
            return next(each for each in list_snapshots(store) if each.position >= begin)
        if now.writing < begin:
            reason = now.given_up or status.reason or "another one was begun"
            raise SnapshotAbandoned(f"the snapshot begun at {begin} ended: {reason}")
        if status.state in (State.FAILED, State.CLOSED):
            raise StoreClosed(f"the store ended during a snapshot: {status.reason}")
        if time.monotonic() >= deadline:
            raise WaitTimeout(
                f"the snapshot begun at {begin} is not complete after {timeout:g} s:"
                f" {now.writing_pages_done} of {now.writing_pages} pages; it goes on"
            )
        if progress is not None:
            progress("snapshot", now.writing_pages_done, now.writing_pages)
        time.sleep(_POLL_S)


def list_snapshots(store: Store) -> list[Snapshot]:
    """Of `Store.snapshots`. Each begin names the one before."""
    newest = store.status().snapshot
    found: list[Snapshot] = []
    position = newest.position
    while position:
        try:
            entries = store.log.read(position, position, timeout=_LIST_TIMEOUT_S)
        except LogTruncated:
            break
        record = read_record(entries[0].data) if entries else None
        if record is None or record.kind is not Kind.SNAPSHOT_BEGIN:
            raise Corrupt(f"position {position} of the log should begin a snapshot, and does not")
        found.append(
            Snapshot(
                position=Position(position),
                time=record.time,
                epoch=record.epoch,
                version=record.last_version,
                pages=record.page_count,
                checksum=record.checksum_after,
                end=newest.end if position == newest.position and newest.end else None,
            )
        )
        position = Position(record.snapshot)
    return found


def verify(
    native: Any, position: int, *, timeout: float, progress: ProgressReport | None
) -> Snapshot:
    """Of `Store.verify_snapshot`."""
    check = ffi.new("aur_snapshot_check *")
    done = ffi.new("uint32_t *")

    def run() -> Outcome:
        return call(lib.aur_store_verify_snapshot, native, position, timeout, check, done)[1]

    outcome = run() if progress is None else _reporting(run, progress, done, check)
    doing = f"verify the snapshot at {position}"
    if outcome.status == lib.AUR_MISSING:
        raise NoSuchSnapshot(f"cannot {doing}: {outcome.reason}")
    if outcome.status == lib.AUR_END:
        raise NoSuchSnapshot(f"cannot {doing}, it is not complete: {outcome.reason}")
    if outcome.status != lib.AUR_OK:
        _fail(outcome, doing)
    return Snapshot(
        position=Position(position),
        time=time_of(check.time_us),
        epoch=check.epoch,
        version=check.version,
        pages=check.page_count,
        checksum=check.checksum,
        end=Position(check.end),
        chunks=check.chunks,
        bytes=check.bytes,
    )


def _reporting(
    run: Callable[[], Outcome], progress: ProgressReport, done: Any, check: Any
) -> Outcome:
    # The native call takes its time: this thread tells how far it is.
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(run()), daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_S)
        progress("verify", done[0], check.page_count)
    return outcomes[0]


def truncate(native: Any, to: int) -> Position:
    """Of `Store.truncate`."""
    _, outcome = call(lib.aur_store_truncate, native, to)
    message = f"cannot truncate the log to {to}: {outcome.reason}"
    if outcome.status == lib.AUR_NONE:
        raise NotLeader(message, hint="ask the leader")
    if outcome.status == lib.AUR_FAILED:
        raise TruncationRefused(message)
    if outcome.status == lib.AUR_NO_ANSWER:
        raise CommitOutcomeUnknown(f"{message}; the next leader settles whether it happened")
    if outcome.status != lib.AUR_OK:
        _fail(outcome, "truncate the log")
    return Position(outcome.position)


_ERRORS: Final[dict[int, type[StoreError]]] = {
    lib.AUR_CLOSED: StoreClosed,
    lib.AUR_TRUNCATED: LogTruncated,
    lib.AUR_CORRUPT: Corrupt,
    lib.AUR_TOO_NEW: FormatTooNew,
    lib.AUR_NO_ANSWER: WaitTimeout,
}


def _fail(outcome: Outcome, doing: str) -> NoReturn:
    raise _ERRORS.get(outcome.status, LogUnavailable)(f"cannot {doing}: {outcome.reason}")
