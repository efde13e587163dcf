"""Replicas of several releases of a scheduler, on the test double of a replicated log."""

from __future__ import annotations

from pathlib import Path

from memory_stores import MemoryEnsemble
from revision_files import Step, write
from sqlalchemy import text

from aurora_store import Store
from aurora_store.migrations import Schema, Standing


class Releases:
    """Makes replicas whose software knows some revisions."""

    def __init__(self, ensemble: MemoryEnsemble, directory: Path) -> None:
        self._ensemble = ensemble
        self._directory = directory
        self._count = 0

    def open(self, *steps: Step) -> Store:
        """A replica whose software knows these, caught up."""
        directory = write(self._directory / f"release-{self._count + 1}", steps)
        return self.open_with(Schema(directory, software=f"farm {len(steps)}"))

    def open_with(self, schema: Schema) -> Store:
        """A replica with that schema, caught up."""
        self._count += 1
        store = self._ensemble.open(f"host-{self._count}", schema=schema)
        store.wait_caught_up()
        return store


def add(store: Store, name: str) -> None:
    """Writes a row."""
    with store.begin() as connection:
        connection.execute(text("INSERT INTO worker (name) VALUES (:name)"), {"name": name})


def workers_of(store: Store) -> list[str]:
    """All rows."""
    with store.read() as connection:
        return list(connection.scalars(text("SELECT name FROM worker ORDER BY name")))


def standing(store: Store) -> Standing:
    """How its software stands to the database."""
    assert store.migrator is not None
    return store.migrator.verdict().standing


def caught_up(store: Store, leader: Store) -> Store:
    """The store, once it has what the leader has."""
    store.wait_for(leader.position)
    return store
