"""Replacing the database of a running store by a file: one transaction, then a new reign."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pysqlite3 import dbapi2

from aurora_store import driver
from aurora_store.backup import write_backup
from aurora_store.backup.verify import open_readonly
from aurora_store.errors import Corrupt, RecoveryRefused, StoreError
from aurora_store.image import PAGE_BYTES
from aurora_store.status import State

if TYPE_CHECKING:
    from aurora_store.store import Store

__all__ = ["Restored", "restore"]

Progress = Callable[[str, int, int], None]

_logger = logging.getLogger("aurora_store.recovery")

_PAGES_AT_A_TIME = 1024
_ELECTION_LIMIT_S = 30.0  # for the candidates, to begin the next reign
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Restored:
    """What a restore came to.

    Attributes:
        before: position of the last version that it took the place of; it stays in the log.
        position: that includes the restored database.
        version: of the database: that of the restoring transaction.
        epoch: of the reign that has begun with it; it may be another replica's.
        snapshot: where that reign's first snapshot begins in the log; ``None`` if this replica does
            not lead it, or has taken none, which its log explains.
        kept: the backup of what it took the place of; ``None`` if none was asked for, or there was
            nothing.
    """

    before: int
    position: int
    version: int
    epoch: int
    snapshot: int | None
    kept: str | None

    def as_json(self) -> dict[str, Any]:
        """For the command line."""
        return asdict(self)


def restore(
    store: Store,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    keep: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Restored:
    """Makes a SQLite file the database of a store that leads.

    One transaction replaces all pages; only those that differ go into the log. It waits in line
    like any other, and is there as a whole or not at all. Readers and open connections see it as
    the next version. Then this reign ends, so that everybody who built on what was there begins
    anew. The next one is this replica's, and begins with a snapshot, unless candidates elect
    another one.

    A store with a schema migrates what is restored in a copy first.

    Args:
        path: of a sound SQLite database with pages of 4096 bytes.
        force: also if there is something in the database.
        keep: where to make a backup of what it takes the place of. The log has that, too, but only
            until it is truncated.
        progress: is called with ("restore", pages done, pages in all).

    Raises:
        NotLeader, WriterBusy, LeadershipLost, StoreClosed: nothing has changed.
        BackupFailed: what is there cannot be kept. Nothing has changed.
        CommitOutcomeUnknown: see whether the next leader has it.
        RecoveryRefused: the database is not empty, and `force` is not given.
        Corrupt: the file is no such database.
        SchemaMismatch: this software could not lead with it, whatever `force` says.
        MigrationFailed: a revision that the file lacks fails on it. Nothing has changed.
    """
    report = progress or (lambda step, done, total: None)
    source_path = Path(os.path.abspath(path))
    with (
        closing(_open(source_path)) as opened,
        _fitting(store, opened, source_path) as source,
        closing(driver.connect(store.name)) as target,
    ):
        target.acquire_turn()
        try:
            empty = _is_empty(target)
            before = store.position  # of all there is: what was read is durable
            if not (force or empty):
                raise RecoveryRefused(
                    "the store's database is not empty",
                    hint="see aurora-store recovery diff, then commit --force",
                )
            kept = None
            if keep is not None and not empty:
                kept = str(write_backup(store, keep, progress=report).path)
            _copy(source, target, report)
        finally:
            target.end_turn()
        target.settle()
        position = target.commit_position
    version = store.status().version
    epoch = _begin_reign(store)
    return Restored(before, position, version, epoch, _snapshot(store, report), kept)


def _open(path: Path) -> dbapi2.Connection:
    try:
        source = open_readonly(path)
        size = source.execute("PRAGMA page_size").fetchone()[0]
        pages = source.execute("PRAGMA page_count").fetchone()[0]
    except dbapi2.Error as exc:
        raise Corrupt(f"{path} is no SQLite database that can be read: {exc}") from exc
    if pages == 0:
        source.close()
        raise Corrupt(f"{path} is empty: it would take everything away")
    if size != PAGE_BYTES:
        source.close()
        raise Corrupt(f"{path} has pages of {size} bytes, and a store has {PAGE_BYTES}")
    return source


def _fitting(
    store: Store, source: dbapi2.Connection, path: Path
) -> AbstractContextManager[dbapi2.Connection]:
    """What is to be restored, as the store's software needs it."""
    if store.migrator is None:
        return nullcontext(source)
    return store.migrator.migrated(source, path)


def _is_empty(connection: driver.Connection) -> bool:
    count = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return int(count) == 0


def _copy(source: dbapi2.Connection, target: driver.Connection, report: Progress) -> None:
    def progress(_status: int, remaining: int, total: int) -> None:
        report("restore", total - remaining, total)

    try:
        source.backup(target, pages=_PAGES_AT_A_TIME, progress=progress)
    except dbapi2.Error as exc:
        target.raise_refused(exc)


def _begin_reign(store: Store) -> int:
    """Ends the reign and begins the next, or lets the candidates do so; returns the newest epoch.

    The restore itself is done by now: what goes wrong here is for the log and the status to tell.
    """
    before = store.status().epoch
    try:
        store.step_down()
        if not store.under_election:
            store.lead()
    except StoreError as exc:
        _logger.warning("no reign was begun after the restore: %s", exc)
    deadline = time.monotonic() + _ELECTION_LIMIT_S
    while store.under_election and store.status().epoch == before:
        if time.monotonic() >= deadline:
            _logger.warning("no candidate leads %g s after the restore", _ELECTION_LIMIT_S)
            break
        time.sleep(_LOOK_EVERY_S)
    return store.status().epoch


def _snapshot(store: Store, report: Progress) -> int | None:
    """So that replicas start with what was restored. The restore itself is done by now."""
    if store.status().state is not State.LEADING:
        return None
    try:
        return int(store.snapshot(progress=report).position)
    except StoreError as exc:
        _logger.warning("no snapshot after the restore: %s", exc)
        return None
