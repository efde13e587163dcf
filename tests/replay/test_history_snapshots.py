"""History in a log with snapshots, and in one that was truncated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from aurora_store import Store
from aurora_store.cli.commands import main
from aurora_store.errors import LogTruncated
from aurora_store.history import first_to_read, replay_to
from aurora_store.log.files import ReplicaDirectory
from aurora_store.record import Kind, read_record
from aurora_store.sources import LogSource


def insert(store: Store, value: int) -> int:
    with store.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS t (a INTEGER, filler)"))
        connection.execute(
            text("INSERT INTO t VALUES (:value, randomblob(30000))"), {"value": value}
        )
    return int(store.position)


def values(store: Store, at: int) -> list[int]:
    with store.read(at=at) as connection:
        return list(connection.execute(text("SELECT a FROM t ORDER BY a")).scalars())


def fill(store: Store) -> dict[int, list[int]]:
    """Commits, with snapshots in between; what every position must show."""
    expected: dict[int, list[int]] = {}
    seen: list[int] = []
    for value in range(30):
        seen.append(value)
        expected[insert(store, value)] = list(seen)
        if value in (9, 19):
            store.snapshot(timeout=60.0)
    return expected


def test_every_position_shows_the_same_with_snapshots_and_is_reached_from_the_nearest(
    store: Store,
) -> None:
    expected = fill(store)
    for position, content in expected.items():
        assert values(store, position) == content
    newest, older = (int(each.position) for each in store.snapshots())
    last = store.position
    source = LogSource(store.log, last)
    assert first_to_read(source, last) == newest
    assert first_to_read(source, newest) == older
    assert first_to_read(source, older) == 0
    with replay_to(source, last) as replay:
        assert replay.info.version == store.status().version
        assert replay.info.checksum == store.status().checksum


def test_in_a_truncated_log_history_begins_with_the_snapshot(store: Store, tmp_path: Path) -> None:
    expected = fill(store)
    newest = store.snapshots()[0]
    store.truncate(newest.position)
    positions = list(expected)
    assert values(store, positions[-1]) == expected[positions[-1]]
    with pytest.raises(LogTruncated, match="before the history kept"):
        values(store, positions[3])
    store.step_down()
    store.close()
    source = tmp_path / "log"
    query = "SELECT count(*), max(a) FROM t"

    def run(*arguments: str | Path | int, code: int = 0) -> Any:
        ran = CliRunner().invoke(main, [*map(str, arguments), "--json"])
        assert ran.exit_code == code, ran.output
        return json.loads(ran.stdout) if code == 0 else json.loads(ran.stderr.splitlines()[-1])

    assert run("sql", source, query)["rows"] == [[30, 29]]
    assert run("sql", source, "--at", positions[3], query, code=20)["name"] == "LogTruncated"
    # In the middle of the snapshot's entries nothing says yet that it will be complete.
    middle = int(newest.position) + 1
    said = run("sql", source, "--at", middle, query, code=20)["message"]
    assert "from position" in said

    new = tmp_path / "new"
    told = run("log", "rewrite", source, new, "--without", positions[-3])
    assert told["left_out"]["transactions"] == 1
    assert run("log", "verify", new)["ok"]
    first = next(iter(ReplicaDirectory.read(new).entries(1)))
    assert read_record(first.data).kind is Kind.SNAPSHOT_BEGIN
    with Store.open(new) as copy:
        copy.wait_caught_up()
        copy.lead()
        with copy.read() as connection:
            assert connection.execute(text(query)).one() == (29, 29)
        copy.snapshot(timeout=60.0)
        assert [snapshot.position for snapshot in copy.snapshots()][-1] == first.position
