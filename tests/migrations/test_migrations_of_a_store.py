"""What a store with a schema does: it migrates before it serves, and refuses what does not fit."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from memory_stores import MemoryEnsemble
from release_stores import Releases, add, caught_up, standing, workers_of
from revision_files import BROKEN, FIRST, RACKS, RIVAL, ZONES, Step, write
from sqlalchemy import text

from aurora_store.errors import MigrationFailed, NotLeader, SchemaMismatch
from aurora_store.migrations import Schema, Standing
from aurora_store.status import State


def test_the_leader_migrates_before_it_serves_and_records_who_did_it(releases: Releases) -> None:
    store = releases.open(FIRST, ZONES)
    assert standing(store) is Standing.BEHIND
    store.lead()
    add(store, "a")
    assert workers_of(store) == ["a"]
    assert store.migrator is not None
    journal = store.migrator.journal()
    assert [(each.action, each.revision) for each in journal.entries] == [
        ("upgrade", "farm_0001"),
        ("upgrade", "farm_0002"),
    ]
    assert {each.software for each in journal.entries} == {store.migrator.schema.software}
    assert {each.host for each in journal.entries} == {store.host}


def test_the_whole_migration_is_one_transaction(releases: Releases) -> None:
    store = releases.open(FIRST, ZONES, RACKS)
    before = store.status().version
    store.lead()
    assert store.status().version == before + 1


def test_a_leader_that_is_up_to_date_writes_nothing(releases: Releases) -> None:
    first = releases.open(FIRST)
    first.lead()
    version = first.status().version
    second = caught_up(releases.open(FIRST), first)
    second.lead()
    assert second.status().version == version


def test_a_standby_with_newer_software_is_not_read_until_its_release_leads(
    releases: Releases,
) -> None:
    old = releases.open(FIRST)
    old.lead()
    new = caught_up(releases.open(FIRST, ZONES), old)
    with pytest.raises(SchemaMismatch, match="lacks farm_0002") as refused:
        workers_of(new)
    assert refused.value.hint is not None and "leads" in refused.value.hint
    new.lead()
    assert workers_of(new) == []


def test_older_software_reads_and_leads_what_is_compatible(releases: Releases) -> None:
    new = releases.open(FIRST, ZONES)
    new.lead()
    add(new, "a")
    old = caught_up(releases.open(FIRST), new)
    assert standing(old) is Standing.AHEAD
    assert workers_of(old) == ["a"]
    old.lead()
    add(old, "b")
    assert workers_of(caught_up(new, old)) == ["a", "b"]


def test_older_software_refuses_what_is_not_compatible_and_deposes_nobody(
    releases: Releases,
) -> None:
    new = releases.open(FIRST, ZONES, RACKS)
    new.lead()
    old = caught_up(releases.open(FIRST), new)
    assert standing(old) is Standing.TOO_NEW
    for refused in (old.lead, lambda: workers_of(old)):
        with pytest.raises(SchemaMismatch, match="farm_0003 .*does not know it"):
            refused()
    hint = old.migrator.verdict().hint if old.migrator is not None else ""
    assert "aurora-store schema downgrade --directory DIR farm_0002 (with --lead" in hint
    add(new, "still leads")
    assert "farm_0003" in old.unfit()


def test_a_history_that_forks_is_refused_even_where_each_step_is_compatible(
    releases: Releases,
) -> None:
    releases.open(FIRST, RIVAL).lead()
    other = releases.open(FIRST, ZONES)
    with pytest.raises(SchemaMismatch, match="farm_0002b .*where this software has farm_0002"):
        other.lead()


def test_revisions_of_several_owners_that_need_the_same_one_are_no_fork(
    releases: Releases, tmp_path: Path
) -> None:
    def theirs(name: str) -> Step:
        return (f"{name}_0001", name, None, True, [f"CREATE TABLE {name} (a)"], None)

    def needing(store: Path, name: str) -> Path:
        write(store, [theirs(name)])
        file = store / f"{name}_0001.py"
        file.write_text(f"depends_on = 'farm_0001'\n{file.read_text()}")
        return store

    first = Schema(write(tmp_path / "a", [FIRST]), needing(tmp_path / "b", "barn"))
    second = Schema(write(tmp_path / "c", [FIRST]), needing(tmp_path / "d", "dam"))
    releases.open_with(first).lead()
    store = releases.open_with(second)
    store.lead()
    assert standing(store) is Standing.AHEAD


def test_transactions_that_are_waiting_when_a_replica_becomes_the_leader_are_refused_not_guessed(
    releases: Releases,
) -> None:
    old = releases.open(FIRST)
    old.lead()
    new = caught_up(releases.open(FIRST, ZONES, RACKS), old)
    new._elect(10.0)  # leads, and has not migrated yet
    with pytest.raises(SchemaMismatch, match="cannot be written"):
        add(new, "too early")
    new.lead()
    add(new, "a")
    assert workers_of(new) == ["a"]


def test_a_revision_that_fails_leaves_all_as_it_was_and_the_replica_steps_down(
    releases: Releases,
) -> None:
    old = releases.open(FIRST)
    old.lead()
    add(old, "not a number")
    new = caught_up(releases.open(FIRST, BROKEN), old)
    with pytest.raises(MigrationFailed, match="farm_0002 .Names are numbers. failed") as failed:
        new.lead()
    assert "CHECK constraint failed" in failed.value.message
    assert new.status().state is State.STANDBY
    assert new.migrator is not None
    assert "farm_0002" in new.unfit(), "a candidate must not try it over and over"
    old.wait_for(new.position)
    old.lead()
    with old.read() as connection:
        tables = connection.scalars(text("SELECT name FROM sqlite_schema WHERE type = 'table'"))
        assert "numbered" not in set(tables)
    assert workers_of(old) == ["not a number"]


def test_a_downgrade_undoes_what_builds_upon_a_revision_and_loses_nothing_else(
    releases: Releases,
) -> None:
    new = releases.open(FIRST, ZONES, RACKS)
    new.lead()
    add(new, "a")
    assert [each.revision for each in new.downgrade("farm_0001")] == ["farm_0003", "farm_0002"]
    assert new.status().state is not State.LEADING, "its software needs what was undone"
    old = caught_up(releases.open(FIRST), new)
    assert standing(old) is Standing.CURRENT
    old.lead()
    assert workers_of(old) == ["a"]


def test_what_was_undone_is_applied_again_only_when_it_is_released(releases: Releases) -> None:
    new = releases.open(FIRST, ZONES)
    new.lead()
    new.downgrade("farm_0001")
    assert standing(new) is Standing.REVERTED
    with pytest.raises(SchemaMismatch, match="farm_0002 .*undone by") as refused:
        new.lead()
    assert refused.value.hint is not None
    assert "aurora-store schema upgrade --directory DIR" in refused.value.hint
    old = caught_up(releases.open(FIRST), new)
    old.lead()
    assert old.migrator is not None
    assert [each.revision for each in old.migrator.release()] == ["farm_0002"]
    new = caught_up(new, old)
    new.lead()
    assert standing(new) is Standing.CURRENT


def test_software_that_does_not_know_a_revision_undoes_it_as_the_leader(
    releases: Releases,
) -> None:
    new = releases.open(FIRST, ZONES, RACKS)
    new.lead()
    add(new, "a")
    old = caught_up(releases.open(FIRST), new)
    new.close()
    with pytest.raises(NotLeader):
        old.downgrade("farm_0001")
    old.downgrade("farm_0001", lead=True)
    assert old.status().state is State.LEADING
    add(old, "b")
    assert workers_of(old) == ["a", "b"]


def test_a_revision_without_downgrade_cannot_be_undone(releases: Releases) -> None:
    kept: Step = ("farm_0002", "For ever", "farm_0001", False, ["CREATE TABLE kept (a)"], None)
    store = releases.open(FIRST, kept)
    store.lead()
    with pytest.raises(MigrationFailed, match="farm_0002 .*cannot be undone"):
        store.downgrade("farm_0001")
    assert store.status().state is State.LEADING
    assert standing(store) is Standing.CURRENT


def test_a_downgrade_that_fails_undoes_nothing(releases: Releases) -> None:
    bad: Step = (
        "farm_0003",
        "Two steps",
        "farm_0002",
        False,
        ["CREATE TABLE empty (a NOT NULL)"],
        ["UPDATE worker SET zone = NULL", "INSERT INTO empty SELECT zone FROM worker"],
    )
    store = releases.open(FIRST, ZONES, bad)
    store.lead()
    with store.begin() as connection:
        connection.execute(text("INSERT INTO worker VALUES ('a', 'west')"))
    with pytest.raises(MigrationFailed, match="NOT NULL constraint failed") as failed:
        store.downgrade("farm_0001")
    assert failed.value.hint is not None and "INSERT INTO empty" in failed.value.hint
    with store.read() as connection:
        assert connection.scalar(text("SELECT zone FROM worker")) == "west"


@pytest.mark.parametrize("to", ["farm_0009", "farm_0002"])
def test_a_downgrade_to_what_is_not_there_or_the_newest_says_so(
    releases: Releases, to: str
) -> None:
    store = releases.open(FIRST, ZONES)
    store.lead()
    with pytest.raises(MigrationFailed, match=to):
        store.downgrade(to)


def test_the_leaders_entry_in_the_log_tells_what_its_software_knows(releases: Releases) -> None:
    store = releases.open(FIRST, ZONES)
    store.lead()
    assert store.status().leader_schema == "farm_0002"


def test_a_store_without_a_schema_says_so_instead_of_downgrading(ensemble: MemoryEnsemble) -> None:
    store = ensemble.open("host")
    with pytest.raises(MigrationFailed, match="without a schema"):
        store.downgrade("farm_0001")


def test_migrations_are_logged(releases: Releases, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "aurora_store.migrations"):
        releases.open(FIRST).lead()
    assert "migrated to farm_0001 (Workers)" in caplog.text
