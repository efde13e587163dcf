"""What is lost, changed and gained when one database takes another one's place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aurora_store.errors import Corrupt
from aurora_store.recovery import TableDifference, compare


def database(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def differences(tmp_path: Path, live: list[str], staged: list[str]) -> dict[str, TableDifference]:
    a = database(tmp_path / "a.db", *live)
    b = database(tmp_path / "b.db", *staged)
    return {each.table: each for each in compare(a, b)}


def numbers(found: TableDifference) -> tuple[int, int, int, str]:
    return found.lost, found.changed, found.gained, found.schema


def test_equal_databases_do_not_differ(tmp_path: Path) -> None:
    same = ["CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, NULL), (2, x'00'), (2, x'00')"]
    assert differences(tmp_path, same, same) == {}


def test_rows_are_told_apart_by_their_key(tmp_path: Path) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, a)"
    found = differences(
        tmp_path,
        [table, "INSERT INTO t VALUES (1, 'same'), (2, 'old'), (3, 'lost'), (5, NULL)"],
        [table, "INSERT INTO t VALUES (1, 'same'), (2, 'new'), (4, 'gained'), (5, 0)"],
    )["t"]
    assert numbers(found) == (1, 2, 1, "")
    assert ("changed", {"id": 2, "a": "old"}, {"id": 2, "a": "new"}) in found.examples
    assert ("lost", {"id": 3, "a": "lost"}, None) in found.examples
    assert ("gained", None, {"id": 4, "a": "gained"}) in found.examples


def test_a_table_without_rowid_and_a_key_of_two_columns(tmp_path: Path) -> None:
    table = "CREATE TABLE t (a, b, c, PRIMARY KEY (b, a)) WITHOUT ROWID"
    found = differences(
        tmp_path,
        [table, "INSERT INTO t VALUES (1, 1, 'x'), (1, 2, 'y')"],
        [table, "INSERT INTO t VALUES (1, 1, 'z'), (2, 1, 'y')"],
    )["t"]
    assert numbers(found) == (1, 1, 1, "")


def test_a_change_of_case_alone_is_seen_under_nocase(tmp_path: Path) -> None:
    table = "CREATE TABLE t (a TEXT COLLATE NOCASE)"
    found = differences(
        tmp_path, [table, "INSERT INTO t VALUES ('A')"], [table, "INSERT INTO t VALUES ('a')"]
    )["t"]
    assert numbers(found) == (0, 1, 0, "")


def test_a_column_may_be_called_rowid(tmp_path: Path) -> None:
    table = "CREATE TABLE t (rowid TEXT, a)"
    found = differences(
        tmp_path,
        [table, "INSERT INTO t VALUES ('x', 1), ('x', 2)"],
        [table, "INSERT INTO t VALUES ('x', 1)"],
    )["t"]
    assert numbers(found) == (1, 0, 0, "")


@pytest.mark.parametrize("order", [1, -1])
def test_rows_are_others_once_their_table_tells_them_apart_in_another_way(
    tmp_path: Path, order: int
) -> None:
    row = "INSERT INTO t VALUES (1, 2)"
    tables = ["CREATE TABLE t (a PRIMARY KEY, b) WITHOUT ROWID", "CREATE TABLE t (a, b)"]
    live, staged = tables[::order]
    assert numbers(differences(tmp_path, [live, row], [staged, row])["t"]) == (1, 0, 1, "changed")


def test_a_text_that_is_no_utf8_is_shown_with_the_bytes_that_are_not(tmp_path: Path) -> None:
    table = "CREATE TABLE t (a)"
    found = differences(tmp_path, [table, "INSERT INTO t VALUES (CAST(x'41ff' AS TEXT))"], [table])
    assert found["t"].examples == (("lost", {"a": "A\\xff"}, None),)


def test_tables_that_come_go_and_change(tmp_path: Path) -> None:
    found = differences(
        tmp_path,
        [
            "CREATE TABLE gone (a)",
            "INSERT INTO gone VALUES (1)",
            "CREATE TABLE t (a, b)",
            "INSERT INTO t VALUES (1, 2)",
        ],
        ["CREATE TABLE came (a)", "CREATE TABLE t (a, c)", "INSERT INTO t VALUES (1, 3)"],
    )
    assert numbers(found["gone"]) == (1, 0, 0, "lost")
    assert numbers(found["came"]) == (0, 0, 0, "gained")
    assert numbers(found["t"]) == (0, 0, 0, "changed"), "what both have is equal"


def test_odd_names_and_virtual_tables(tmp_path: Path) -> None:
    tables = [
        'CREATE TABLE "a ""quoted"" name" ("select", "x y")',
        "CREATE VIRTUAL TABLE words USING fts5(body)",
    ]
    found = differences(
        tmp_path,
        [*tables, 'INSERT INTO "a ""quoted"" name" VALUES (1, 2)'],
        [*tables, "INSERT INTO words VALUES ('hello')"],
    )
    assert numbers(found['a "quoted" name']) == (1, 0, 0, "")
    assert found["words_content"].gained == 1


def test_against_nothing_everything_is_gained(tmp_path: Path) -> None:
    staged = database(tmp_path / "b.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    (found,) = compare(None, staged)
    assert numbers(found) == (0, 0, 1, "gained")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    staged = database(tmp_path / "b.db", "CREATE TABLE t (a)")
    (tmp_path / "a.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Corrupt, match=r"a\.db"):
        compare(tmp_path / "a.db", staged)
