"""What a schema must not let happen, whatever revisions and connections do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from memory_stores import MemoryEnsemble
from release_stores import Releases, add, caught_up
from revision_files import FIRST, RACKS, ZONES, Step, write
from sqlalchemy import Connection, Engine, event, text

from aurora_store import Store, driver, models
from aurora_store.errors import MigrationFailed, SchemaMismatch
from aurora_store.events import Events
from aurora_store.migrations import Schema, Standing
from aurora_store.migrations.rehearsal import empty_database
from aurora_store.status import State

_FAMILY: Step = (
    "farm_0001",
    "Parents and children",
    None,
    True,
    [
        "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (parent REFERENCES parent (id) ON DELETE CASCADE)",
    ],
    None,
)


@pytest.fixture
def release(ensemble: MemoryEnsemble, tmp_path: Path) -> Callable[..., Store]:
    """Makes a replica whose software knows some revisions; the last one may be a file's text."""
    count = iter(range(100))

    def make(*steps: Step, second: str | None = None) -> Store:
        number = next(count)
        directory = write(tmp_path / f"release-{number}", steps)
        if second is not None:
            (directory / "farm_0002.py").write_text(second)
        store = ensemble.open(f"host-{number}", schema=Schema(directory))
        store.wait_caught_up()
        return store

    return make


def second(upgrade: str, downgrade: str = "raise NotImplementedError", imports: str = "") -> str:
    """The text of a second revision."""
    return (
        '"""Second."""\n\nimport sqlalchemy\nfrom alembic import op\n'
        f'from aurora_store.migrations import rebuilt\n{imports}\n\nrevision = "farm_0002"\n'
        f'down_revision = "farm_0001"\n\n\ndef upgrade() -> None:\n    {upgrade}\n\n\n'
        f"def downgrade() -> None:\n    {downgrade}\n"
    )


def schema_of(directory: Path, text_of_second: str) -> Schema:
    write(directory / "farm", [FIRST])
    (directory / "farm" / "farm_0002.py").write_text(text_of_second)
    return Schema(directory / "farm")


@pytest.fixture
def enforcing() -> Iterator[None]:
    """Foreign keys are enforced by a listener on all engines, as SQLAlchemy's manual has it."""

    def enforce(connection: driver.Connection, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    event.listen(Engine, "connect", enforce)
    yield
    event.remove(Engine, "connect", enforce)


@pytest.mark.usefixtures("enforcing")
def test_a_table_that_is_rebuilt_takes_no_rows_of_others_with_it(
    release: Callable[..., Store],
) -> None:
    old = release(_FAMILY)
    old.lead()
    with old.begin() as connection:
        connection.execute(text("INSERT INTO parent VALUES (1)"))
        connection.execute(text("INSERT INTO child VALUES (1)"))
    rebuild = "with rebuilt('parent', recreate='always') as batch:\n        batch."
    new = release(
        _FAMILY,
        second=second(
            f"{rebuild}add_column(sqlalchemy.Column('name', sqlalchemy.Text))",
            f"{rebuild}drop_column('name')",
        ),
    )
    new.lead()
    with new.read() as connection:
        assert connection.execute(text("SELECT * FROM child")).all() == [(1,)]
    new.downgrade("farm_0001")
    old.wait_for(new.position)
    with old.read() as connection:
        assert connection.execute(text("SELECT * FROM child")).all() == [(1,)]


def test_statements_outside_a_transaction_are_refused_as_well(
    release: Callable[..., Store],
) -> None:
    new = release(FIRST, ZONES, RACKS)
    new.lead()
    old = release(FIRST)
    insert = text("INSERT INTO worker (name) VALUES ('a')")
    select = text("SELECT * FROM worker")
    for engine, statement in ((old.read_engine, select), (old.engine, select)):
        with engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            with pytest.raises(SchemaMismatch, match="farm_0003"):
                alone.execute(statement)
    old._elect(10.0)
    with old.engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(SchemaMismatch, match="be written"):
            alone.execute(insert)
    raw = driver.connect(old.name, read_only=True)
    with pytest.raises(SchemaMismatch, match="be read"):
        raw.execute("BEGIN")
    assert not raw.in_transaction


def test_statements_outside_a_transaction_run_where_all_is_well(
    release: Callable[..., Store],
) -> None:
    store = release(FIRST)
    store.lead()
    with store.engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        alone.execute(text("INSERT INTO worker VALUES ('a')"))
        assert alone.scalar(text("SELECT name FROM worker")) == "a"


def test_leading_twice_at_once_waits_for_the_migration_and_does_not_end_it(
    ensemble: MemoryEnsemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = Schema(write(tmp_path / "farm", [FIRST]))
    store = ensemble.open("host", schema=schema, begin_timeout=0.1)
    store.wait_caught_up()
    migrating, both = threading.Event(), threading.Event()
    upgrade = Schema.upgrade

    def slowly(self: Schema, connection: Connection, *, host: str = "") -> object:
        done = upgrade(self, connection, host=host)
        migrating.set()
        assert not both.wait(0.5), "the second one did not wait"
        return done

    monkeypatch.setattr(Schema, "upgrade", slowly)
    first = threading.Thread(target=store.lead)
    first.start()
    assert migrating.wait(10.0)
    store.lead()
    both.set()
    first.join()
    assert store.status().state is State.LEADING
    assert store.migrator is not None
    assert store.migrator.verdict().standing is Standing.CURRENT


def test_revisions_that_fail_on_any_database_depose_nobody_and_the_right_one_is_blamed(
    release: Callable[..., Store],
) -> None:
    old = release(FIRST)
    old.lead()
    reading = second(
        'op.execute("SELECT 1")',
        "op.get_bind().scalar(sqlalchemy.text('SELECT count(*) FROM worker'))",
    )
    new = release(
        FIRST, ("farm_0003", "Third", "farm_0002", True, ["SELECT 1"], None), second=reading
    )
    with pytest.raises(MigrationFailed, match="empty database: downgrade.. of revision farm_0002"):
        new.lead()
    assert old.status().state is State.LEADING
    with old.begin() as connection:
        connection.execute(text("INSERT INTO worker VALUES ('still leads')"))
    assert "farm_0002" in new.unfit()


@pytest.mark.parametrize(
    ("upgrade", "downgrade", "why"),
    [
        ('op.execute("CREATE TABLE t (a)")', "pass", "does nothing"),
        (
            'op.execute("CREATE TABLE t (a)")',
            'op.get_bind().connection.execute("DROP TABLE t")',
            "let SQLAlchemy execute",
        ),
        (
            'op.execute("CREATE TABLE t (a)")\n    op.execute("COMMIT")',
            'op.execute("DROP TABLE t")',
            "ends the transaction",
        ),
    ],
)
def test_a_revision_that_would_not_do_what_the_journal_says_is_refused(
    tmp_path: Path, upgrade: str, downgrade: str, why: str
) -> None:
    schema = schema_of(tmp_path, second(upgrade, downgrade))
    with pytest.raises(MigrationFailed, match=why):
        schema.rehearse()


def test_a_revision_that_runs_another_schema_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    schema = schema_of(
        tmp_path,
        second("models.create_schema(op.get_bind())", imports="from aurora_store import models"),
    )
    with pytest.raises(MigrationFailed, match="is run by revision farm_0002"):
        schema.rehearse()
    with empty_database() as connection:
        models.create_schema(connection)  # the next one is not kept from it


def test_two_files_of_one_name_are_refused_and_neither_is_chosen(tmp_path: Path) -> None:
    farm = write(tmp_path / "farm", [FIRST, ZONES])
    (farm / "other.py").write_text((farm / "farm_0002.py").read_text())
    with pytest.raises(ValueError, match="farm_0002 is present more than once"):
        Schema(farm)


def test_a_journal_with_an_action_of_a_newer_release_is_too_new_and_not_guessed(
    release: Callable[..., Store],
) -> None:
    store = release(FIRST, ZONES)
    store.lead()
    with store.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO aurora_store_migration SELECT number + 1, 'verified', revision,"
                " message, after, needs, compatible, downgrade, software, host, time_ms, 'other'"
                " FROM aurora_store_migration WHERE number = 2"
            )
        )
    assert store.migrator is not None
    verdict = store.migrator.verdict()
    assert verdict.standing is Standing.TOO_NEW
    assert "farm_0002 (Workers have a zone), verified by" in verdict.reason


def test_a_revision_that_was_moved_is_a_fork(release: Callable[..., Store]) -> None:
    def third(after: str) -> Step:
        return ("farm_0003", "Racks", after, True, ["CREATE TABLE rack (a)"], None)

    release(FIRST, third("farm_0001")).lead()
    moved = release(FIRST, ZONES, third("farm_0002"))
    with pytest.raises(SchemaMismatch, match="farm_0003 .*behind farm_0002"):
        moved.lead()


def test_events_are_added_to_a_store_whose_own_revisions_are_not_compatible(
    release: Callable[..., Store],
) -> None:
    store = release(FIRST, ZONES, RACKS)
    store.lead()
    with store.begin() as connection:
        Events(store).create_tables(connection)
        models.create_schema(connection)
    assert store.migrator is not None
    assert store.migrator.verdict().standing is Standing.AHEAD


def test_where_nobody_leads_a_replica_leads_to_find_out_whether_it_must_not(
    releases: Releases,
) -> None:
    new = releases.open(FIRST, ZONES, RACKS)
    new.lead()
    old = caught_up(releases.open(FIRST), new)
    assert "farm_0003" in old.unfit()
    new.close()
    deadline = time.monotonic() + 60
    while old.unfit():
        assert time.monotonic() < deadline, "it holds against itself for ever what may be old"
        time.sleep(0.1)
    with pytest.raises(SchemaMismatch, match="farm_0003"):
        old.lead()
    assert old.status().leader_instance == old.instance, "it has not looked at the log's end"
    assert old.status().state is not State.LEADING


def test_a_downgrade_that_has_nothing_to_undo_deposes_nobody(releases: Releases) -> None:
    leader = releases.open(FIRST, ZONES)
    leader.lead()
    other = caught_up(releases.open(FIRST, ZONES), leader)
    with pytest.raises(MigrationFailed, match="no revision typo"):
        other.downgrade("typo", lead=True)
    add(leader, "still leads")


def test_a_branch_is_undone_down_to_its_base(releases: Releases, tmp_path: Path) -> None:
    first = (*FIRST[:5], ["DROP TABLE worker"])
    other = Schema(
        write(
            tmp_path / "other",
            [("barn_0001", "Barns", None, True, ["CREATE TABLE barn (a)"], None)],
        ),
        write(tmp_path / "farm", [first, ZONES]),
    )
    store = releases.open_with(other)
    store.lead()
    assert [each.revision for each in store.downgrade("farm_0002@base")] == [
        "farm_0002",
        "farm_0001",
    ]
    assert store.migrator is not None
    assert list(store.migrator.journal().applied) == ["barn_0001"]


def test_a_downgrade_that_makes_a_table_anew_keeps_what_others_have_on_it(
    releases: Releases,
) -> None:
    rebuild = (
        "farm_0002",
        "Zones",
        "farm_0001",
        True,
        [
            "ALTER TABLE worker ADD COLUMN zone TEXT",
            "CREATE INDEX ix_zone ON worker (zone)",
        ],
        [
            "CREATE TABLE made_anew (name TEXT PRIMARY KEY)",
            "INSERT INTO made_anew SELECT name FROM worker",
            "DROP TABLE worker",
            "ALTER TABLE made_anew RENAME TO worker",
        ],
    )
    store = releases.open(FIRST, rebuild)
    store.lead()
    with store.begin() as connection:
        connection.execute(text("CREATE INDEX ix_length ON worker (length(name))"))
        connection.execute(text("CREATE TABLE told (name TEXT)"))
        connection.execute(
            text(
                "CREATE TRIGGER tell AFTER INSERT ON worker BEGIN"
                " INSERT INTO told VALUES (NEW.name); END"
            )
        )
    store.downgrade("farm_0001")
    old = caught_up(releases.open(FIRST), store)
    old.lead()
    add(old, "a")
    with old.read() as connection:
        assert connection.scalar(text("SELECT name FROM told")) == "a"
        names = set(connection.scalars(text("SELECT name FROM sqlite_schema")))
    assert "ix_length" in names, "somebody else's index is gone"
    assert "ix_zone" not in names, "the revision meant to take its own index with it"


def test_a_table_is_rebuilt_by_the_name_it_has_to_the_letter(tmp_path: Path) -> None:
    write(tmp_path / "farm", [FIRST])
    (tmp_path / "farm" / "farm_0002.py").write_text(
        "from aurora_store.migrations import rebuilt\n"
        'revision = "farm_0002"\ndown_revision = "farm_0001"\ndef upgrade():\n'
        "    with rebuilt('Worker', recreate='always') as batch:\n        pass\n"
    )
    with pytest.raises(MigrationFailed, match="no table Worker"):
        Schema(tmp_path / "farm").rehearse()
