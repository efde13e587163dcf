"""``log show|diff|replay|rewrite`` and ``sql`` on real directories, damaged ones included."""

from __future__ import annotations

import errno
import json
import os
import pty
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from aurora_store import Store
from aurora_store.cli.commands import main
from aurora_store.log import Log
from aurora_store.log.files import ReplicaDirectory
from aurora_store.record import read_record


def run(*arguments: str | Path | int, code: int = 0) -> Result:
    ran = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert ran.exit_code == code, ran.output
    return ran


def answer(*arguments: str | Path | int, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", code=code).stdout)


@dataclass
class Written:
    """A closed log and what was done at which position."""

    directory: Path
    at: dict[str, int] = field(default_factory=dict)

    def time(self, name: str) -> datetime:
        """Of the entry of a step."""
        (action,) = ReplicaDirectory.read(self.directory).entries(self.at[name], self.at[name])
        return read_record(action.data).time


STEPS = {
    "create": ["CREATE TABLE task (id INTEGER PRIMARY KEY, status TEXT UNIQUE)"],
    "insert": ["INSERT INTO task VALUES (1, 'one'), (2, 'two'), (3, 'three')"],
    "garbage": ["UPDATE task SET status = 'bad' WHERE id = 2"],
    "host": ["CREATE TABLE host (name TEXT PRIMARY KEY, data) WITHOUT ROWID"],
    "more": ["INSERT INTO host VALUES ('a', x'00ff')", "INSERT INTO task VALUES (4, 'four')"],
    "swap": [
        "UPDATE task SET status = '-' WHERE id = 1",
        "UPDATE task SET status = 'one' WHERE id = 3",
        "UPDATE task SET status = 'three' WHERE id = 1",
    ],
}


def write(directory: Path, steps: dict[str, list[str]]) -> Written:
    written = Written(directory)
    with Store.open(directory, heartbeat=0) as store:
        store.wait_caught_up()
        store.lead()
        for name, statements in steps.items():
            with store.begin() as connection:
                for statement in statements:
                    connection.execute(text(statement))
            written.at[name] = int(store.position)
        store.step_down()
    return written


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("whole") / "log", STEPS)


@pytest.fixture
def copy(whole: Written, tmp_path: Path) -> Written:
    """A copy, to be damaged."""
    directory = tmp_path / "copy"
    shutil.copytree(whole.directory, directory)
    return Written(directory, dict(whole.at))


def tasks(directory: Path, *options: str | int) -> list[list[Any]]:
    query = "SELECT id, status FROM task ORDER BY id"
    rows: list[list[Any]] = answer("sql", directory, *options, query)["rows"]
    return rows


# ---- sql ----


def test_sql_reads_the_newest_version_or_that_of_a_position_or_of_a_time(whole: Written) -> None:
    assert tasks(whole.directory) == [[1, "three"], [2, "bad"], [3, "one"], [4, "four"]]
    before = [[1, "one"], [2, "two"], [3, "three"]]
    assert tasks(whole.directory, "--at", whole.at["insert"]) == before
    assert tasks(whole.directory, "--at", whole.time("insert").isoformat()) == before
    utc = whole.time("insert").isoformat().replace("+00:00", "Z")
    assert tasks(whole.directory, "--at", utc) == before


def test_sql_prints_rows_as_text_and_blobs_as_sql_writes_them(whole: Written) -> None:
    lines = run("sql", whole.directory, "SELECT name, data, NULL AS n FROM host").stdout
    assert lines == "name\tdata\tn\na\tx'00ff'\tNULL\n"
    assert answer("sql", whole.directory, "SELECT data FROM host")["rows"] == [[{"hex": "00ff"}]]


def test_sql_prints_a_row_as_one_line_whatever_is_in_it(whole: Written) -> None:
    query = "SELECT 'a' || char(9, 10, 13) || 'b' AS odd, 2 AS two"
    assert run("sql", whole.directory, query).stdout == "odd\ttwo\na\\t\\n\\rb\t2\n"


@pytest.mark.parametrize("columns", [80, 150])
def test_a_position_is_a_line_on_a_terminal_too(whole: Written, columns: int) -> None:
    terminal, other_end = pty.openpty()
    command = [sys.executable, "-m", "aurora_store.cli", "log", "list", str(whole.directory)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    silent = subprocess.DEVNULL
    subprocess.run(command, stdout=other_end, stderr=silent, env=environment, check=True)
    os.close(other_end)
    written = b""
    with suppress(OSError):  # the end of what a terminal gives that nobody has open any more
        while True:
            written += os.read(terminal, 4096)
    os.close(terminal)
    rows = [line for line in written.decode().splitlines() if line.startswith("│")]
    assert max(map(len, rows)) <= columns
    for position in whole.at.values():
        assert len([row for row in rows if row.startswith(f"│ {position:>8} │ batch")]) == 1


def test_sql_reads_a_directory_whose_store_is_open_and_touches_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path / "log", heartbeat=0) as store:
        store.wait_caught_up()
        store.lead()
        with store.begin() as connection:
            connection.execute(text("CREATE TABLE t AS SELECT 42 AS a"))
        assert answer("sql", tmp_path / "log", "SELECT a FROM t")["rows"] == [[42]]
        with store.begin() as connection:
            connection.execute(text("INSERT INTO t VALUES (43)"))
        assert answer("sql", tmp_path / "log", "SELECT max(a) FROM t")["rows"] == [[43]]


@pytest.mark.parametrize(
    "query", ["INSERT INTO task VALUES (9, 'x')", "SELEC 1", "DROP TABLE task"]
)
def test_a_query_that_is_wrong_or_would_write_is_wrong_usage(whole: Written, query: str) -> None:
    run("sql", whole.directory, query, code=2)


@pytest.mark.parametrize("query", ["ATTACH '{}' AS z", "VACUUM INTO '{}'"])
@pytest.mark.parametrize("uri", ["{}", "file:{}?vfs=unix"])
def test_a_query_opens_no_other_file(whole: Written, tmp_path: Path, query: str, uri: str) -> None:
    file = uri.format(tmp_path / "x.db")
    said = run("sql", whole.directory, query.format(file), code=2).stderr
    assert "would open another file" in said
    assert list(tmp_path.iterdir()) == []


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@contextmanager
def running(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, whose query runs by now."""
    command = [sys.executable, "-m", "aurora_store.cli", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            cpu = Path(f"/proc/{process.pid}/stat")
            while process.poll() is None:  # fields 14 and 15: ticks of a hundredth of a second
                user, system = cpu.read_text().rsplit(")", 1)[1].split()[11:13]
                if int(user) + int(system) > 300:
                    break
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def test_ctrl_c_ends_a_query_that_would_go_on(whole: Written) -> None:
    with running("sql", whole.directory, ENDLESS) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60.0)
        assert process.returncode == 130, said
        assert "Error: interrupted" in said


def test_ctrl_c_ends_a_query_on_the_staged_copy(copy: Written) -> None:
    run("recovery", "stage", copy.at["insert"], "--directory", copy.directory)
    with running("recovery", "sql", ENDLESS, "--directory", copy.directory) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60.0)
        assert process.returncode == 130, said
        assert "Error: interrupted" in said


def test_moments_that_mean_nothing_are_refused(whole: Written) -> None:
    said = run("sql", whole.directory, "--at", "2026-01-01T00:00:00", "SELECT 1", code=2).stderr
    assert "time zone" in said
    run("sql", whole.directory, "--at", "yesterday", "SELECT 1", code=2)
    run("sql", whole.directory, "--at", 99999, "SELECT 1", code=21)
    run("sql", whole.directory, "--at", "2000-01-01T00:00:00Z", "SELECT 1", code=20)
    run("sql", whole.directory, "--at", "9999-01-01T00:00:00Z", "SELECT 1", code=21)


# ---- show ----


def test_show_tells_header_pages_and_rows_before_and_after(whole: Written) -> None:
    shown = answer("log", "show", whole.directory, whole.at["garbage"])
    assert (shown["kind"], shown["transactions"], shown["epoch"]) == ("batch", 1, 1)
    assert shown["pages"] and all(page["change"] == "patch" for page in shown["pages"])
    assert shown["rows"] == [
        {
            "table": "task",
            "change": "update",
            "key": {"id": 2},
            "before": {"id": 2, "status": "two"},
            "after": {"id": 2, "status": "bad"},
        }
    ]
    lines = run("log", "show", whole.directory, whole.at["garbage"]).stdout
    assert "task\tupdate\tid=2\tstatus: 'two' -> 'bad'" in lines


def test_show_tells_what_was_made(whole: Written) -> None:
    shown = answer("log", "show", whole.directory, whole.at["host"])
    assert [(each["type"], each["name"]) for each in shown["schema"]] == [("table", "host")]


def test_show_tells_who_leads_and_what_holds_no_entry(whole: Written) -> None:
    assert answer("log", "show", whole.directory, 1)["host"]
    assert answer("log", "show", whole.directory, 0)["kind"] == "nop"
    run("log", "show", whole.directory, 12345, code=21)


def test_show_of_what_was_truncated_says_where_the_log_begins(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with Log.open(directory) as log:
        log.elect()
        positions = [log.append(b"x") for _ in range(5)]
        log.truncate(positions[3])
    said = run("log", "show", directory, positions[1], code=20).stderr
    assert f"begins at position {positions[3]}" in said
    run("log", "show", directory, 99, code=21)


@pytest.mark.parametrize("command", [["log", "show", "{}", "1"], ["sql", "{}", "SELECT 1"]])
def test_a_directory_that_cannot_be_read_is_no_wrong_usage(
    whole: Written, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def forbidden(path: object = ".") -> list[str]:  # fault simulation: root may read everything
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(os, "listdir", forbidden)
    said = run(*(part.format(whole.directory) for part in command), code=11).stderr
    assert f"{whole.directory} cannot be read: Permission denied" in said


def test_show_names_the_foreign_entry(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with Log.open(directory) as log:
        log.elect()
        position = log.append(b"another application's")
        log.append(b"and another")
    said = run("log", "show", directory, position, code=3).stderr
    assert f"position {position}" in said
    assert "not written by aurora-store" in said
    said = run("sql", directory, "SELECT 1", code=3).stderr
    assert f"position {position + 1}: " in said


# ---- diff ----


def test_diff_tells_what_differs_in_the_end(whole: Written) -> None:
    found = answer("log", "diff", whole.directory, whole.at["insert"], whole.at["swap"])
    changes = {(row["table"], row["change"], *row["key"].values()) for row in found["rows"]}
    assert changes == {
        ("task", "update", 1),
        ("task", "update", 2),
        ("task", "update", 3),
        ("task", "insert", 4),
        ("host", "insert", "a"),
    }
    assert [each["name"] for each in found["schema"]] == ["host"]
    assert found["more"] is False


def test_diff_stops_at_its_limit_and_says_so(whole: Written) -> None:
    ran = run("log", "diff", whole.directory, 0, whole.at["swap"], "--limit", 2)
    assert len(ran.stdout.splitlines()) == 1 + 2 + 2  # headers, schema, rows
    assert "--limit 0" in ran.stderr


def test_diff_the_wrong_way_round_is_wrong_usage(whole: Written) -> None:
    run("log", "diff", whole.directory, 5, 2, code=2)


# ---- replay ----


def test_replay_writes_an_ordinary_file_for_its_owner_alone(whole: Written, tmp_path: Path) -> None:
    out = tmp_path / "then.db"
    told = answer("log", "replay", whole.directory, "--to", whole.at["insert"], out)
    assert (told["position"], told["bytes"]) == (whole.at["insert"], out.stat().st_size)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with closing(sqlite3.connect(out)) as connection:
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (3,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert "is there already" in run("log", "replay", whole.directory, out, code=2).stderr


@pytest.mark.parametrize("command", ["replay", "rewrite"])
def test_a_place_that_cannot_be_written_is_said_by_its_name(
    whole: Written, tmp_path: Path, command: str
) -> None:
    out = Path("/proc/self/x/new") if command == "rewrite" else tmp_path / "nowhere" / "x.db"
    said = run("log", command, whole.directory, out, code=1).stderr
    assert "unexpected" not in said and ".part" not in said
    assert f"{out if command == 'replay' else out.parent}: No such file or directory" in said


def test_a_full_disk_is_said_with_the_name_of_the_file(
    whole: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:  # fault simulation: a disk that fills up at the end
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = run("log", "replay", whole.directory, tmp_path / "x.db", code=1).stderr
    assert f"Error: {tmp_path / 'x.db'}: No space left on device" in said
    assert list(tmp_path.iterdir()) == []


# ---- damage ----


def flip(written: Written, what: bytes) -> None:
    """Damages every write of the entry that holds some bytes."""
    found = 0
    for path in [*written.directory.glob("*.log"), *written.directory.glob("*.ldb")]:
        data = path.read_bytes()
        found += data.count(what)
        path.write_bytes(data.replace(what, bytes([what[0] ^ 0x10]) + what[1:]))
    assert found


def test_behind_damage_nothing_is_told_and_before_it_everything(copy: Written) -> None:
    (action,) = ReplicaDirectory.read(copy.directory).entries(copy.at["host"], copy.at["host"])
    flip(copy, action.data[40:80])
    said = run("sql", copy.directory, "SELECT 1", code=3).stderr
    assert str(copy.at["host"]) in said
    assert "another replica" in said
    assert tasks(copy.directory, "--at", copy.at["garbage"])[1] == [2, "bad"]
    out = copy.directory.parent / "out.db"
    run("log", "replay", copy.directory, out, code=3)
    assert not out.exists()
    run("log", "rewrite", copy.directory, copy.directory.parent / "new", code=3)
    assert [path.name for path in copy.directory.parent.iterdir()] == ["copy"]


def test_a_missing_file_is_said(copy: Written) -> None:
    for path in copy.directory.glob("*.log"):
        path.unlink()
    for path in copy.directory.glob("*.ldb"):
        path.unlink()
    assert run("sql", copy.directory, "SELECT 1", code=3).stderr


def test_a_directory_that_is_no_log_is_said(tmp_path: Path) -> None:
    run("sql", tmp_path, "SELECT 1", code=11)
    run("log", "diff", tmp_path / "nowhere", 1, 2, code=11)


# ---- rewrite ----


def test_a_log_up_to_a_position_holds_the_same_entries_and_can_be_led(
    whole: Written, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    told = answer("log", "rewrite", whole.directory, new, "--to", whole.at["insert"])
    assert told["copied"] == 3
    assert answer("log", "verify", new)["ok"]
    old_entries = [a.data for a in ReplicaDirectory.read(whole.directory).entries(1, 3)]
    assert [a.data for a in ReplicaDirectory.read(new).entries(1, 3)] == old_entries
    with Store.open(new) as store:
        store.wait_caught_up()
        store.lead()
        with store.begin() as connection:
            assert connection.execute(text("SELECT count(*) FROM task")).scalar() == 3
            connection.execute(text("INSERT INTO task VALUES (9, 'nine')"))


def test_without_a_range_the_rest_is_brought_back(whole: Written, tmp_path: Path) -> None:
    new = tmp_path / "new"
    told = answer("log", "rewrite", whole.directory, new, "--without", f"{whole.at['garbage']}")
    assert told["left_out"] == {"transactions": 1, "rows": {"task": 1}}
    assert told["conflicts"] == []
    assert tasks(new) == [[1, "three"], [2, "two"], [3, "one"], [4, "four"]]
    assert answer("sql", new, "SELECT * FROM host")["rows"] == [["a", {"hex": "00ff"}]]


def test_what_does_not_fit_stops_the_rewriting_and_leaves_nothing(
    whole: Written, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    said = run("log", "rewrite", whole.directory, new, "--without", whole.at["host"], code=1).stderr
    assert "host" in said
    assert f"position {whole.at['more']} does not fit" in said
    assert "--on-conflict skip" in said
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_skipped_and_listed_if_asked(whole: Written, tmp_path: Path) -> None:
    new = tmp_path / "new"
    options = ("--without", whole.at["host"], "--on-conflict", "skip")
    told = answer("log", "rewrite", whole.directory, new, *options)
    (conflict,) = told["conflicts"]
    assert (conflict["position"], conflict["table"]) == (whole.at["more"], "host")
    assert tasks(new) == [[1, "three"], [2, "bad"], [3, "one"], [4, "four"]]


def test_triggers_do_not_run_again(tmp_path: Path) -> None:
    steps = {
        "create": ["CREATE TABLE t (a)", "CREATE TABLE seen (a)", "INSERT INTO t VALUES (0)"],
        "trigger": ["CREATE TRIGGER look AFTER INSERT ON t BEGIN INSERT INTO seen VALUES (1); END"],
        "bad": ["DELETE FROM t"],
        "insert": ["INSERT INTO t VALUES (1)"],
    }
    written = write(tmp_path / "log", steps)
    new = tmp_path / "new"
    ran = run("log", "rewrite", written.directory, new, "--without", written.at["bad"], code=1)
    assert "the row is there already" in ran.stderr or "is another one" in ran.stderr
    steps["insert"] = ["INSERT INTO t (rowid, a) VALUES (7, 1)"]
    written = write(tmp_path / "log2", steps)
    answer("log", "rewrite", written.directory, new, "--without", written.at["bad"])
    assert answer("sql", new, "SELECT a FROM t")["rows"] == [[0], [1]]
    assert answer("sql", new, "SELECT count(*) FROM seen")["rows"] == [[1]]
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    assert answer("sql", new, query)["rows"] == [["look"]]


def test_a_target_that_is_not_empty_is_refused(whole: Written, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    assert "not empty" in run("log", "rewrite", whole.directory, tmp_path, code=2).stderr
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("command", ["replay", "rewrite"])
@pytest.mark.parametrize("below", ["x", "deep/below"])
def test_nothing_is_written_inside_a_log_directory(
    whole: Written, copy: Written, tmp_path: Path, command: str, below: str
) -> None:
    (tmp_path / "link").symlink_to(copy.directory)
    before = sorted(copy.directory.iterdir())
    for log in (copy.directory, tmp_path / "link"):
        said = run("log", command, whole.directory, log / below, code=2).stderr
        assert "inside the log directory" in said
    assert sorted(copy.directory.iterdir()) == before


def test_a_range_that_is_none_is_refused(whole: Written, tmp_path: Path) -> None:
    new = tmp_path / "new"
    run("log", "rewrite", whole.directory, new, "--without", "7..3", code=2)
    run("log", "rewrite", whole.directory, new, "--without", "a..b", code=2)
    assert not new.exists()


@pytest.mark.parametrize(
    "command", [["log", "show"], ["log", "diff"], ["log", "replay"], ["log", "rewrite"], ["sql"]]
)
def test_help_has_an_example(command: list[str]) -> None:
    assert f"aurora-store {' '.join(command)} " in run(*command, "--help").stdout
