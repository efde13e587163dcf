"""Revision files: what is refused before a database is touched, and what is learnt from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from revision_files import FIRST, RACKS, ZONES, write
from sqlalchemy import Connection, text

from aurora_store import events, models
from aurora_store.migrations import Schema
from aurora_store.migrations.rehearsal import empty_database

OURS = (models.REVISIONS, events.REVISIONS)


def farm(directory: Path, downgrade: str, *, imports: str = "") -> Schema:
    """A schema whose second revision is undone by some code."""
    write(directory / "farm", [FIRST])
    (directory / "farm" / "farm_0002.py").write_text(
        f'"""Second."""\n\nfrom alembic import op\n{imports}\nrevision = "farm_0002"\n'
        'down_revision = "farm_0001"\n\n\ndef upgrade() -> None:\n'
        '    op.execute("ALTER TABLE worker ADD COLUMN zone TEXT")\n\n\n'
        f"def downgrade() -> None:\n    {downgrade}\n"
    )
    return Schema(directory / "farm")


def objects(connection: Connection) -> dict[str, str]:
    """What SQLite says of each table, index and trigger, without white space."""
    rows = connection.execute(text("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_revisions_come_behind_those_they_build_upon_whatever_their_files_are_called(
    tmp_path: Path,
) -> None:
    first = ("zz_1", *FIRST[1:])
    second = ("aa_2", ZONES[1], "zz_1", *ZONES[3:])
    schema = Schema(write(tmp_path / "farm", [second, first]))
    assert [each.id for each in schema.revisions] == ["zz_1", "aa_2"]
    assert schema.heads == ("aa_2",)


def test_directories_of_several_owners_make_one_schema(tmp_path: Path) -> None:
    schema = Schema(*OURS, write(tmp_path / "farm", [FIRST]), software="farm 1")
    assert {"farm_0001", "model_0001", "events_0001"} <= {each.id for each in schema.revisions}
    assert schema.software.startswith("farm 1, aurora-store ")


def test_a_directory_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no directory of revisions .*nowhere"):
        Schema(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no revisions in"):
        Schema(tmp_path)
    with pytest.raises(ValueError, match="one directory"):
        Schema()


@pytest.mark.filterwarnings("ignore:Revision farm_0002 referenced:UserWarning")
def test_a_revision_that_builds_upon_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no revision farm_0002 in them, which another one names"):
        Schema(write(tmp_path / "farm", [FIRST, RACKS]))


def test_who_forgets_the_revisions_of_events_is_told_to_add_them() -> None:
    with pytest.raises(ValueError, match=r"events_0001 .* add aurora_store.events.REVISIONS"):
        Schema(models.REVISIONS)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("revision = 'a_1'\ndown_revision = None\n", r"no upgrade\(\)"),
        (
            "revision = 'a_1'\ndown_revision = None\ncompatible = 'yes'\ndef upgrade(): ...\n",
            "True or False, not 'yes'",
        ),
        ("def upgrade(:\n", "cannot be read"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, body: str, why: str) -> None:
    (tmp_path / "a_1.py").write_text(body)
    with pytest.raises(ValueError, match=why):
        Schema(tmp_path)


def test_a_revision_is_not_compatible_unless_it_says_so(tmp_path: Path) -> None:
    schema = farm(tmp_path, 'op.execute("ALTER TABLE worker DROP COLUMN zone")')
    assert [each.compatible for each in schema.revisions] == [True, False]


def test_a_downgrade_is_learnt_as_sql_also_from_a_rebuilt_table(tmp_path: Path) -> None:
    schema = farm(
        tmp_path,
        "with rebuilt('worker', recreate='always') as batch:\n        batch.drop_column('zone')",
        imports="from aurora_store.migrations import rebuilt\n",
    )
    learnt = schema.downgrades["farm_0002"]
    assert learnt is not None
    assert any("DROP TABLE worker" in sql for sql, _ in learnt)
    with empty_database() as connection:
        for revision in schema.revisions:
            revision.upgrade(connection)
        connection.execute(text("INSERT INTO worker VALUES ('a', 'west')"))
        for sql, parameters in learnt:
            connection.exec_driver_sql(sql, tuple(parameters))
        assert connection.execute(text("SELECT * FROM worker")).all() == [("a",)]


def test_a_rebuilt_table_keeps_its_triggers(tmp_path: Path) -> None:
    first = (
        *FIRST[:4],
        [
            *FIRST[4],
            "CREATE TABLE told (name TEXT)",
            "CREATE TRIGGER tell AFTER INSERT ON worker BEGIN"
            " INSERT INTO told VALUES (NEW.name); END",
        ],
        None,
    )
    write(tmp_path / "farm", [first])
    (tmp_path / "farm" / "farm_0002.py").write_text(
        "import sqlalchemy\nfrom aurora_store.migrations import rebuilt\n"
        'revision = "farm_0002"\ndown_revision = "farm_0001"\ndef upgrade():\n'
        "    with rebuilt('worker', recreate='always') as batch:\n"
        "        batch.add_column(sqlalchemy.Column('zone', sqlalchemy.Text))\n"
    )
    with empty_database() as connection:
        for revision in Schema(tmp_path / "farm").revisions:
            revision.upgrade(connection)
        connection.execute(text("INSERT INTO worker VALUES ('a', 'west')"))
        assert connection.scalar(text("SELECT name FROM told")) == "a"


def test_a_table_that_triggers_of_others_name_is_rebuilt_all_the_same(tmp_path: Path) -> None:
    first = (
        *FIRST[:4],
        [
            *FIRST[4],
            "CREATE TABLE gone (name TEXT)",
            "CREATE TRIGGER go AFTER INSERT ON gone BEGIN"
            " DELETE FROM worker WHERE name = NEW.name; END",
        ],
        None,
    )
    write(tmp_path / "farm", [first])
    (tmp_path / "farm" / "farm_0002.py").write_text(
        "from aurora_store.migrations import rebuilt\n"
        'revision = "farm_0002"\ndown_revision = "farm_0001"\ndef upgrade():\n'
        "    with rebuilt('worker', recreate='always') as batch:\n"
        "        batch.alter_column('name', nullable=False)\n"
    )
    with empty_database() as connection:
        for revision in Schema(tmp_path / "farm").revisions:
            revision.upgrade(connection)
        connection.execute(text("INSERT INTO worker VALUES ('a'), ('b')"))
        connection.execute(text("INSERT INTO gone VALUES ('a')"))
        assert connection.scalars(text("SELECT name FROM worker")).all() == ["b"]


@pytest.mark.parametrize(
    ("downgrade", "why"),
    [
        ("op.get_bind().scalar(sqlalchemy.text('SELECT count(*) FROM worker'))", "reads rows"),
        (
            "op.execute(sqlalchemy.text('UPDATE worker SET name = :a').bindparams(a=b'x'))",
            "value of memoryview",
        ),
    ],
)
def test_a_downgrade_that_cannot_be_kept_as_sql_is_refused(
    tmp_path: Path, downgrade: str, why: str
) -> None:
    schema = farm(tmp_path, downgrade, imports="import sqlalchemy\n")
    with pytest.raises(ValueError, match=why):
        _ = schema.downgrades


def test_each_downgrade_of_ours_gives_back_what_was_before() -> None:
    schema = Schema(*OURS)
    with empty_database() as connection:
        for revision in schema.revisions:
            before = objects(connection)
            revision.upgrade(connection)
            learnt = schema.downgrades[revision.id]
            if learnt is not None:
                for sql, parameters in learnt:
                    connection.exec_driver_sql(sql, tuple(parameters))
                assert objects(connection) == before
                revision.upgrade(connection)


def test_our_revisions_make_what_the_models_say_to_the_letter() -> None:
    schema = Schema(*OURS)
    assert schema.differences(models.metadata, events.metadata) == []
    with empty_database() as connection:
        for metadata in (models.metadata, events.metadata):
            metadata.create_all(connection)
        for trigger in models.tables.CHANGE_TRIGGERS.values():
            connection.execute(text(trigger))
        modelled = objects(connection)
    with empty_database() as connection:
        for revision in schema.revisions:
            revision.upgrade(connection)
        made = objects(connection)
    assert sorted(made) == sorted(modelled)
    tight = str.maketrans("", "", " ")
    for name, sql in modelled.items():
        if not name.startswith("aurora_store_"):
            assert made[name].translate(tight) == sql.translate(tight)


def test_tables_that_were_made_before_there_were_revisions_are_taken_over() -> None:
    with empty_database() as connection:
        models.metadata.create_all(connection)
        connection.execute(text("INSERT INTO quota VALUES ('www', 1.0, 2, 3)"))
        Schema(*OURS).upgrade(connection)
        assert connection.scalar(text("SELECT count(*) FROM quota")) == 1


def test_differences_tell_what_a_model_has_and_no_revision_makes(tmp_path: Path) -> None:
    schema = Schema(write(tmp_path / "farm", [FIRST]))
    assert [each[0] for each in schema.differences(events.metadata)] != []
