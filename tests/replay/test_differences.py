"""Which rows changed: as a comparison of every row would say, at the cost of the change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_stores import MemoryEnsemble

from aurora_store import Store
from aurora_store.differences import RowChange, Version, row_changes, schema_changes
from aurora_store.differences.schema import tables
from aurora_store.record import changed_pages
from aurora_store.replay import Replay

SCHEMA = """
CREATE TABLE plain (a TEXT, b);
CREATE TABLE task (id INTEGER PRIMARY KEY, b, status TEXT);
CREATE INDEX task_status ON task (status);
CREATE TABLE pair (x TEXT, y, b, PRIMARY KEY (y, x)) WITHOUT ROWID;
"""


@dataclass
class Two:
    """Two versions and the pages that differ."""

    before: Version
    after: Version
    pages: set[int]

    def changes(self) -> list[RowChange]:
        return list(row_changes(self.before, self.after, self.pages))


class History:
    """A store and a replay of its log."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.replay = Replay()

    def run(self, *statements: str | tuple[str, tuple[Any, ...]]) -> None:
        """Each transaction is an entry."""
        with self.store.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.begin()
            for statement in statements:
                sql, parameters = (statement, ()) if isinstance(statement, str) else statement
                driver.execute(sql, parameters)
            driver.commit()

    def follow(self) -> set[int]:
        """Brings the replay up to date; the pages that this changed."""
        pages: set[int] = set()
        for entry in self.store.log.stream(from_=self.replay.info.next, to=self.store.position):
            pages |= {page.number for page in changed_pages(entry.data)}
            self.replay.apply(entry)
        return pages

    @contextmanager
    def over(self, *statements: str | tuple[str, tuple[Any, ...]]) -> Iterator[Two]:
        """The versions before and after the statements."""
        self.follow()
        with Version(self.replay) as before:
            self.run(*statements)
            pages = self.follow()
            with Version(self.replay) as after:
                yield Two(before, after, pages)


@pytest.fixture
def history() -> Iterator[History]:
    with open_history() as history:
        yield history


@contextmanager
def open_history() -> Iterator[History]:
    with ExitStack() as stack:
        store = MemoryEnsemble(stack).open("leader", heartbeat=0)
        store.wait_caught_up()
        store.lead()
        history = History(store)
        history.run(*filter(str.strip, SCHEMA.split(";")))
        yield history


def plainly(two: Two) -> set[tuple[str, str, str, str]]:
    """The changes as a comparison of all rows of all tables finds them."""
    contents = []
    for version in (two.before, two.after):
        rows = {}
        for name, table in tables(version).items():
            columns = ", ".join(f'"{column}"' for column in (*table.key, *table.columns))
            for row in version.rows(f'SELECT {columns} FROM "{name}"'):
                width = len(table.key)
                rows[name, repr(row[:width])] = repr(
                    dict(zip(table.columns, row[width:], strict=True))
                )
        contents.append(rows)
    old, new = contents
    return {
        (*key, old.get(key, "None"), new.get(key, "None"))
        for key in old.keys() | new.keys()
        if old.get(key) != new.get(key)
    }


def told(changes: list[RowChange]) -> set[tuple[str, str, str, str]]:
    return {(c.table, repr(tuple(c.key.values())), repr(c.before), repr(c.after)) for c in changes}


def check(two: Two) -> None:
    changes = two.changes()
    assert told(changes) == plainly(two)
    assert len(told(changes)) == len(changes)


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    st.binary(max_size=8),
    # Long rows, which go on on overflow pages; the same length makes the same pages.
    st.sampled_from([6000, 6000, 13000]).flatmap(
        lambda size: st.integers(0, 3).map(lambda n: bytes([n]) * size)
    ),
    # The same beginning: only an overflow page tells them apart.
    st.integers(0, 3).map(lambda n: bytes(9000) + bytes([n])),
)
KEYS = st.integers(1, 60)
NAMES = st.sampled_from(["a", "b", "A", "long" * 400])
STATEMENTS = st.one_of(
    st.tuples(st.just("INSERT OR REPLACE INTO plain (rowid, b) VALUES (?, ?)"),
              st.tuples(KEYS, VALUES)),
    st.tuples(st.just("UPDATE plain SET b = ? WHERE rowid = ?"), st.tuples(VALUES, KEYS)),
    st.tuples(st.just("DELETE FROM plain WHERE rowid = ?"), st.tuples(KEYS)),
    st.tuples(st.just("INSERT OR REPLACE INTO task VALUES (?, ?, ?)"),
              st.tuples(KEYS, VALUES, NAMES)),
    st.tuples(st.just("UPDATE task SET status = ? WHERE id > ?"), st.tuples(NAMES, KEYS)),
    st.tuples(st.just("DELETE FROM task WHERE id BETWEEN ? AND ?"), st.tuples(KEYS, KEYS)),
    st.tuples(st.just("INSERT OR REPLACE INTO pair VALUES (?, ?, ?)"),
              st.tuples(NAMES, VALUES.filter(lambda value: value is not None), VALUES)),
    st.tuples(st.just("UPDATE pair SET b = ? WHERE x = ?"), st.tuples(VALUES, NAMES)),
    st.tuples(st.just("DELETE FROM pair WHERE x = ?"), st.tuples(NAMES)),
    st.tuples(
        st.just(
            "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n LIMIT 300) "
            "INSERT OR REPLACE INTO task SELECT i, hex(i), 'many' FROM n"
        ),
        st.tuples(st.integers(-200, 1000)),
    ),
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STATEMENTS, max_size=12), st.lists(STATEMENTS, min_size=1, max_size=6))
def test_the_changes_are_those_that_a_comparison_of_all_rows_finds(
    first: list[Any], second: list[Any]
) -> None:
    with open_history() as history:
        history.run(*first)
        with history.over(*second) as two:
            check(two)


def fill(history: History, rows: int = 5000) -> None:
    history.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT "
        f"{rows}) INSERT INTO task SELECT i, 'b' || i, 'new' FROM n"
    )


def test_one_row_of_many_is_told_before_and_after(history: History) -> None:
    fill(history)
    with history.over("UPDATE task SET status = 'done' WHERE id = 2500") as two:
        assert two.changes() == [
            RowChange(
                "task",
                {"id": 2500},
                {"id": 2500, "b": "b2500", "status": "new"},
                {"id": 2500, "b": "b2500", "status": "done"},
            )
        ]
        assert two.changes()[0].kind == "update"


def test_the_cost_is_that_of_the_change(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(history, 60000)
    read: list[int] = []
    with history.over("DELETE FROM task WHERE id = 77") as two:
        pages = two.after.image.page_count
        assert pages > 200
        plain = Version.page
        monkeypatch.setattr(Version, "page", lambda self, n: read.append(n) or plain(self, n))
        (change,) = two.changes()
    assert (change.kind, change.key) == ("delete", {"id": 77})
    assert len(set(read)) < pages / 10


def test_a_long_row_that_differs_on_its_overflow_pages_alone_is_found(history: History) -> None:
    fill(history)
    history.run(("INSERT INTO plain VALUES ('long', ?)", (bytes(20000),)))
    with history.over(("UPDATE plain SET b = ?", (bytes(19999) + b"x",))) as two:
        (change,) = two.changes()
        assert (change.table, change.kind, change.key) == ("plain", "update", {"rowid": 1})


def test_tables_that_come_and_go_are_changes_of_schema_and_of_rows(history: History) -> None:
    history.run("INSERT INTO task VALUES (1, NULL, 'new')")
    with history.over(
        "DROP TABLE task", "CREATE TABLE host (name TEXT)", "INSERT INTO host VALUES ('a')"
    ) as two:
        assert [(c.type, c.name) for c in schema_changes(two.before, two.after)] == [
            ("index", "task_status"),
            ("table", "host"),
            ("table", "task"),
        ]
        assert [(c.table, c.kind) for c in two.changes()] == [
            ("host", "insert"),
            ("task", "delete"),
        ]
        check(two)


def test_a_table_that_takes_over_the_pages_of_another_has_changed_all_the_same(
    history: History,
) -> None:
    fill(history, 300)
    with history.over(
        "CREATE TABLE other (id INTEGER PRIMARY KEY, b, status TEXT)",
        "INSERT INTO other SELECT * FROM task",
        "DROP TABLE task",
        "ALTER TABLE other RENAME TO task",
    ) as two:
        assert two.changes() == []
        assert [c.name for c in schema_changes(two.before, two.after)] == [
            "task",
            "task_status",
        ] or [c.name for c in schema_changes(two.before, two.after)] == ["task_status", "task"]


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM task WHERE id BETWEEN 500 AND 1500", "DELETE FROM task", "DROP TABLE task"],
)
def test_pages_that_are_freed_without_being_written_have_lost_their_rows(
    history: History, statement: str
) -> None:
    fill(history, 2000)
    with history.over(statement) as two:
        assert len(two.changes()) in (1001, 2000)
        check(two)


def test_vacuum_moves_everything_and_changes_nothing(history: History) -> None:
    fill(history, 2000)
    history.run("DELETE FROM task WHERE id < 1500")
    history.follow()
    with Version(history.replay) as before:
        with history.store.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
        pages = history.follow()
        with Version(history.replay) as after:
            assert len(pages) > 5
            assert list(row_changes(before, after, pages)) == []


def test_a_column_that_is_added_shows_in_the_rows_that_use_it(history: History) -> None:
    fill(history, 3)
    with history.over(
        "ALTER TABLE task ADD COLUMN host TEXT", "UPDATE task SET host = 'a' WHERE id = 2"
    ) as two:
        (change,) = two.changes()
        assert change.before == {"id": 2, "b": "b2", "status": "new"}
        assert change.after == {"id": 2, "b": "b2", "status": "new", "host": "a"}


def test_a_virtual_table_is_seen_through_its_shadow_tables(history: History) -> None:
    history.run("CREATE VIRTUAL TABLE words USING fts5(body)")
    with history.over("INSERT INTO words VALUES ('hello world')") as two:
        changed = {change.table for change in two.changes()}
        assert {"words_content", "words_data"} <= changed
        check(two)


def test_the_first_table_of_an_empty_database(history: History) -> None:
    with ExitStack() as stack:
        store = MemoryEnsemble(stack).open("leader", heartbeat=0)
        store.wait_caught_up()
        store.lead()
        empty = History(store)
        with empty.over("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)") as two:
            (change,) = two.changes()
            assert (change.table, change.after) == ("t", {"a": 1})


def test_texts_that_are_no_utf8_are_told_apart(history: History) -> None:
    history.run("INSERT INTO plain VALUES (CAST(x'ff' AS TEXT), 1)")
    with history.over("UPDATE plain SET a = CAST(x'fe' AS TEXT)") as two:
        (change,) = two.changes()
        assert change.before is not None and change.after is not None
        assert change.before["a"].encode("utf-8", "surrogateescape") == b"\xff"
        assert change.after["a"].encode("utf-8", "surrogateescape") == b"\xfe"
