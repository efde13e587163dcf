"""Leading with a schema: who may, and what of the schema is applied and undone as the leader.

What `Store.lead`, `Store.upgrade` and `Store.downgrade` do, by `aurora_store.migrations`.

The newest entry of a log is settled by the one that follows. If nobody comes to lead, none does: so
what a replica knows is held against it only while a leader is heard, and whoever undoes what its
own software needs leaves one more entry behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from aurora_store.errors import MigrationFailed, SchemaMismatch, StoreError, WaitTimeout
from aurora_store.status import LeadTiming, State

if TYPE_CHECKING:
    from aurora_store.migrations import Entry
    from aurora_store.migrations.migrator import Migrator
    from aurora_store.store import Store

__all__ = ["Elect", "downgrade", "lead", "require_migrator", "unfit", "upgrade"]

_ELECTION_LIMIT_S = 30.0
_SILENT_S = 5.0  # at least; a busy machine may not be heard for a while

Elect = Callable[[float], LeadTiming]
"""Becomes the leader within so many seconds, or proves to be it; no matter what the schema is."""


def lead(store: Store, migrator: Migrator, elect: Elect, *, timeout: float) -> LeadTiming:
    """Becomes the leader, and migrates. See `Store.lead`."""
    try:
        migrator.require_fit()
    except SchemaMismatch:
        with suppress(WaitTimeout):
            store.wait_caught_up(timeout=timeout)  # what it was refused for may be of the past
        if not _nobody_leads(store):
            migrator.require_fit()
    elected = elect(timeout)
    try:
        migrator.migrate()
    except BaseException:
        with suppress(StoreError):
            store.step_down()
        raise
    return elected


def unfit(store: Store) -> str:
    """Why the software must not lead; empty if it may, or must lead to find out."""
    verdict = None if store.migrator is None else store.migrator.look()
    if verdict is None or verdict.may_lead:
        return ""
    return verdict.reason if verdict.failed or not _nobody_leads(store) else ""


def downgrade(store: Store, elect: Elect, to: str, *, leading: bool) -> list[Entry]:
    """Undoes what builds upon a revision. See `Store.downgrade`."""
    migrator = require_migrator(store)
    if leading and store.status().state is not State.LEADING:
        with suppress(WaitTimeout):
            store.wait_caught_up()
        migrator.journal().to_undo(to)  # or nobody need be deposed
    with _as_leader(store, migrator, elect, leading):
        return migrator.downgrade(to)


def upgrade(store: Store, elect: Elect, *, leading: bool) -> list[Entry]:
    """Has what was undone applied again. See `Store.upgrade`."""
    migrator = require_migrator(store)
    with _as_leader(store, migrator, elect, leading):
        before = len(migrator.journal().entries)
        migrator.release()
        store.lead()  # migrates
        return list(migrator.journal().entries[before:])


def require_migrator(store: Store) -> Migrator:
    """The migrator of a store that must have one.

    Raises:
        MigrationFailed: it was opened without a schema.
    """
    if store.migrator is None:
        raise MigrationFailed(
            f"the store in {store.log.directory} was opened without a schema",
            hint="open it with Store.open(..., schema=Schema(...))",
        )
    return store.migrator


def _nobody_leads(store: Store) -> bool:
    age = store.status().last_entry_age_s
    limit = max(_SILENT_S, 10 * store.heartbeat)
    return store.heartbeat > 0 and age is not None and age > limit


@contextmanager
def _as_leader(store: Store, migrator: Migrator, elect: Elect, leading: bool) -> Iterator[None]:
    """Leads while the block runs, if it is to; goes on only where that is this replica's."""
    follows = leading and store.status().state is not State.LEADING
    if follows:
        elect(_ELECTION_LIMIT_S)
    try:
        yield
    except BaseException:
        if follows:
            with suppress(StoreError):
                store.step_down()
        raise
    if (follows and store.under_election) or not migrator.verdict().may_read:
        with suppress(StoreError):  # somebody else leads: that settles the last entry, too
            elect(_ELECTION_LIMIT_S)
        store.step_down()
