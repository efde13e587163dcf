"""``log rewrite --without`` where tables were altered behind the range that is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from aurora_store import Store
from aurora_store.cli.commands import main

_BEFORE = [
    "CREATE TABLE task (id INTEGER PRIMARY KEY, status TEXT, host TEXT)",
    "CREATE INDEX by_host ON task (host)",
    "INSERT INTO task VALUES (1, 'one', 'a'), (2, 'two', 'b'), (3, 'three', NULL)",
    "CREATE VIRTUAL TABLE words USING fts5(body)",
]
_BAD = ["DELETE FROM task WHERE id = 2", "CREATE TABLE garbage (a)"]


def _rewrite(tmp_path: Path, *steps: list[str], bad: list[str] | None = None) -> Result:
    """A log in which `bad` comes between a good beginning and the steps, written without it."""
    with Store.open(tmp_path / "log", heartbeat=0) as store:
        store.wait_caught_up()
        store.lead()
        for statements in (_BEFORE, bad or _BAD, *steps):
            with store.begin() as connection:
                for statement in statements:
                    connection.execute(text(statement))
        store.step_down()
    # Position 1 says who leads.
    words = ["log", "rewrite", str(tmp_path / "log"), str(tmp_path / "new"), "--without", "3"]
    return CliRunner().invoke(main, [*words, "--json"])


def _rows(tmp_path: Path, query: str = "SELECT * FROM task ORDER BY id") -> list[list[Any]]:
    ran = CliRunner().invoke(main, ["sql", str(tmp_path / "new"), query, "--json"])
    assert ran.exit_code == 0, ran.output
    rows: list[list[Any]] = json.loads(ran.stdout)["rows"]
    return rows


def _schema(tmp_path: Path) -> dict[str, str]:
    return dict(_rows(tmp_path, "SELECT name, sql FROM sqlite_schema"))  # type: ignore[arg-type]


def _done(ran: Result) -> None:
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["conflicts"] == []


def test_a_column_is_added_to_the_rows_that_come_back_too(tmp_path: Path) -> None:
    added = ["ALTER TABLE task ADD COLUMN tier TEXT DEFAULT 'low'"]
    _done(_rewrite(tmp_path, added, ["UPDATE task SET tier = 'high' WHERE id = 3"]))
    assert _rows(tmp_path) == [
        [1, "one", "a", "low"],
        [2, "two", "b", "low"],
        [3, "three", None, "high"],
    ]


def test_a_column_is_added_and_filled_in_one_transaction(tmp_path: Path) -> None:
    migration = ["ALTER TABLE task ADD COLUMN tier TEXT", "UPDATE task SET tier = status"]
    _done(_rewrite(tmp_path, migration, ["INSERT INTO task VALUES (4, 'four', 'd', 'x')"]))
    assert _rows(tmp_path) == [
        [1, "one", "a", "one"],
        [2, "two", "b", None],
        [3, "three", None, "three"],
        [4, "four", "d", "x"],
    ]


def test_a_column_is_renamed_with_its_index_and_keeps_its_values(tmp_path: Path) -> None:
    renamed = ["ALTER TABLE task RENAME COLUMN host TO agent"]
    _done(_rewrite(tmp_path, renamed, ["UPDATE task SET agent = 'z' WHERE id = 3"]))
    query = "SELECT id, agent FROM task ORDER BY id"
    assert _rows(tmp_path, query) == [[1, "a"], [2, "b"], [3, "z"]]
    assert '("agent")' in _schema(tmp_path)["by_host"].replace("(agent)", '("agent")')


def test_a_column_is_renamed_and_written_in_one_transaction(tmp_path: Path) -> None:
    migration = ["ALTER TABLE task RENAME host TO agent", "UPDATE task SET agent = 'z'"]
    _done(_rewrite(tmp_path, migration))
    query = "SELECT id, agent FROM task ORDER BY id"
    assert _rows(tmp_path, query) == [[1, "z"], [2, "b"], [3, "z"]]


def test_a_column_is_dropped_from_the_rows_that_come_back_too(tmp_path: Path) -> None:
    dropped = ["ALTER TABLE task DROP COLUMN status"]
    _done(_rewrite(tmp_path, dropped, ["INSERT INTO task VALUES (4, 'd')"]))
    assert _rows(tmp_path) == [[1, "a"], [2, "b"], [3, None], [4, "d"]]


def test_a_table_that_was_altered_in_the_range_too_does_not_fit(tmp_path: Path) -> None:
    bad = ["ALTER TABLE task ADD COLUMN wrong TEXT"]
    ran = _rewrite(tmp_path, ["ALTER TABLE task ADD COLUMN tier TEXT"], bad=bad)
    assert ran.exit_code == 1
    error = json.loads(ran.stderr.splitlines()[-1])
    assert "table task was altered" in error["message"]
    assert "position 4" in error["message"]
    assert "--to 3" in error["hint"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "altered",
    [
        ["ALTER TABLE task DROP COLUMN status", "ALTER TABLE task ADD COLUMN tier TEXT"],
        [
            "CREATE TABLE t2 (id INTEGER PRIMARY KEY, host TEXT, status TEXT)",
            "INSERT INTO t2 SELECT id, host, status FROM task",
            "DROP TABLE task",
            "ALTER TABLE t2 RENAME TO task",
        ],
        [
            "DROP TABLE words",
            "CREATE VIRTUAL TABLE words USING fts5(body, title)",
        ],
    ],
    ids=["columns that may be others", "made anew", "a virtual one"],
)
def test_what_cannot_be_told_says_what_to_do_next(tmp_path: Path, altered: list[str]) -> None:
    ran = _rewrite(tmp_path, altered)
    assert ran.exit_code == 1
    error = json.loads(ran.stderr.splitlines()[-1])
    assert "position 4" in error["message"] and "--to 3" in error["hint"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("gone", ["DROP TABLE task", "ALTER TABLE task RENAME TO job"])
def test_rows_that_come_back_are_not_lost_with_their_table(tmp_path: Path, gone: str) -> None:
    ran = _rewrite(tmp_path, [gone])
    assert ran.exit_code == 1
    error = json.loads(ran.stderr.splitlines()[-1])
    assert "position 4" in error["message"] and "holds rows" in error["message"]


@pytest.mark.parametrize("gone", ["DROP TABLE task", "ALTER TABLE task RENAME TO job"])
def test_a_table_goes_with_the_rows_that_it_had(tmp_path: Path, gone: str) -> None:
    _done(_rewrite(tmp_path, [gone], bad=["CREATE TABLE garbage (a)"]))
    assert {"task", "garbage"}.isdisjoint(_schema(tmp_path))
    if "RENAME" in gone:
        assert len(_rows(tmp_path, "SELECT * FROM job")) == 3
