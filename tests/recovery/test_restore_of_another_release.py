"""A backup of another release is restored as this software needs it, or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from release_stores import Releases, add, caught_up, standing, workers_of
from revision_files import BROKEN, FIRST, RACKS, ZONES

from aurora_store import Store
from aurora_store.backup import Backup
from aurora_store.errors import MigrationFailed, SchemaMismatch
from aurora_store.migrations import Standing
from aurora_store.status import State


@pytest.fixture
def old(releases: Releases) -> Store:
    """Leads, with a row."""
    store = releases.open(FIRST)
    store.lead()
    add(store, "from the backup")
    return store


def test_an_older_backup_is_migrated_in_the_transaction_that_restores_it(
    releases: Releases, old: Store, tmp_path: Path
) -> None:
    old.backup(tmp_path / "old.db")
    new = caught_up(releases.open(FIRST, ZONES, RACKS), old)
    new.lead()
    version = new.status().version
    restored = new.restore(tmp_path / "old.db", force=True)
    assert restored.version == version + 1, "no other replica ever saw it unmigrated"
    assert new.status().state is State.LEADING
    assert standing(new) is Standing.CURRENT
    assert workers_of(new) == ["from the backup"]
    with new.read() as connection:
        assert connection.exec_driver_sql("SELECT rack FROM worker").scalar() is None
    recomputed, rolling = new.verify_checksum()
    assert recomputed == rolling


@pytest.mark.parametrize("force", [False, True])
def test_a_backup_that_is_too_new_is_refused_before_anything_is_replaced(
    releases: Releases, old: Store, tmp_path: Path, force: bool
) -> None:
    new = caught_up(releases.open(FIRST, ZONES, RACKS), old)
    new.lead()
    new.backup(tmp_path / "new.db")
    new.downgrade("farm_0001")
    caught_up(old, new).lead()
    before = old.status()
    with pytest.raises(SchemaMismatch, match=r"new\.db .*farm_0003 .*does not know it") as refused:
        old.restore(tmp_path / "new.db", force=force)
    assert "nothing was changed" in refused.value.message
    assert old.status().state is State.LEADING
    assert old.status().version == before.version
    add(old, "the write lock is free")


def test_a_compatible_backup_of_a_newer_release_is_restored_as_it_is(
    releases: Releases, old: Store, tmp_path: Path
) -> None:
    new = caught_up(releases.open(FIRST, ZONES), old)
    new.lead()
    new.backup(tmp_path / "new.db")
    new.downgrade("farm_0001")
    caught_up(old, new).lead()
    old.restore(tmp_path / "new.db", force=True)
    assert standing(old) is Standing.AHEAD
    assert workers_of(old) == ["from the backup"]


def test_a_backup_of_after_a_downgrade_is_refused_by_what_needs_what_was_undone(
    releases: Releases, old: Store, tmp_path: Path
) -> None:
    new = caught_up(releases.open(FIRST, ZONES), old)
    new.lead()
    new.downgrade("farm_0001")
    caught_up(old, new).lead()
    old.backup(tmp_path / "undone.db")
    assert old.upgrade()
    caught_up(new, old).lead()
    with pytest.raises(SchemaMismatch, match="needs farm_0002 .*undone by"):
        new.restore(tmp_path / "undone.db", force=True)
    assert new.status().state is State.LEADING


def test_a_backup_that_a_revision_cannot_take_replaces_nothing(
    releases: Releases, old: Store, tmp_path: Path
) -> None:
    old.backup(tmp_path / "old.db")
    with old.begin() as connection:
        connection.exec_driver_sql("DELETE FROM worker")
    new = caught_up(releases.open(FIRST, BROKEN), old)
    new.lead()
    with pytest.raises(MigrationFailed, match="CHECK constraint failed"):
        new.restore(tmp_path / "old.db", force=True)
    assert new.status().state is State.LEADING
    assert standing(new) is Standing.CURRENT
    assert workers_of(new) == []


def test_any_sqlite_file_can_be_restored_where_the_revisions_take_it(
    releases: Releases, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "any.db")) as connection:
        connection.execute("CREATE TABLE other (a)")
        connection.commit()
    store = releases.open(FIRST)
    store.lead()
    store.restore(tmp_path / "any.db", force=True)
    assert standing(store) is Standing.CURRENT
    assert workers_of(store) == []


def test_a_standby_makes_a_backup_of_what_its_software_must_not_read_and_names_the_revisions(
    releases: Releases, old: Store, tmp_path: Path
) -> None:
    new = caught_up(releases.open(FIRST, ZONES, RACKS), old)
    assert old.backup(tmp_path / "1.db").alembic_version == "farm_0001"
    new.lead()
    made = caught_up(old, new).backup(tmp_path / "2.db")
    assert standing(old) is Standing.TOO_NEW
    assert Backup.read(made.path).alembic_version == "farm_0003"
