"""``aurora-store recovery`` on the real log: with the store running, and with everything down."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from contextlib import ExitStack, closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from harness import Worker, free_ports
from stores import Cluster, spawn_store

from aurora_store import control
from aurora_store.cli.commands import main
from aurora_store.errors import LogUnavailable
from aurora_store.libmesos import fetch


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURORA_STORE_LIBMESOS", str(fetch()))


def run(command: str, *arguments: str | Path, directory: Path) -> Result:
    """The command in this process, its output in a pipe."""
    words = ["recovery", command, *map(str, arguments), "--directory", str(directory), "--json"]
    return CliRunner().invoke(main, words)


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def error(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(result.stderr.splitlines()[-1])
    assert answer["code"] == result.exit_code
    return answer


def backup(target: Path, directory: Path) -> Path:
    result = CliRunner().invoke(
        main, ["backup", "now", str(target), "--directory", str(directory), "--json"]
    )
    return Path(document(result)["path"])


@pytest.fixture
def leader(workers: ExitStack, tmp_path: Path) -> Worker:
    """A store with three tasks, leading."""
    worker = spawn_store(workers, directory=str(tmp_path / "log"))
    worker.call("catch_up")
    worker.call("lead")
    worker.call(
        "script",
        statements=[
            "CREATE TABLE task (id TEXT PRIMARY KEY, status TEXT)",
            "INSERT INTO task VALUES ('a', 'RUNNING'), ('b', 'RUNNING'), ('c', 'LOST')",
        ],
    )
    return worker


def tasks(worker: Worker) -> list[list[str]]:
    rows: list[list[str]] = worker.call("query", statement="SELECT id, status FROM task ORDER BY 1")
    return rows


def fingerprint(directory: Path) -> dict[str, bytes]:
    """The content of every file."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


BEFORE = [["a", "RUNNING"], ["b", "RUNNING"], ["c", "LOST"]]


def test_a_bad_deploy_is_undone_on_the_running_store(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    file = backup(tmp_path / "b.db.zst", log)
    leader.call(
        "script",
        statements=[
            "UPDATE task SET status = 'KILLED'",
            "INSERT INTO task VALUES ('d', 'RUNNING')",
            "CREATE TABLE junk (a)",
        ],
    )
    epoch = leader.call("status")["epoch"]

    staged = document(run("stage", file, directory=log))["staged"]
    assert staged["position"] and staged["changes"] == 0
    assert document(run("status", directory=log))["staged"] == staged

    rows = document(run("sql", "SELECT id FROM task ORDER BY id", directory=log))["rows"]
    assert rows == [["a"], ["b"], ["c"]]
    changed = document(run("sql", "DELETE FROM task WHERE status = 'LOST'", directory=log))
    assert changed["changed"] == 1
    assert document(run("status", directory=log))["staged"]["changes"] == 1
    assert len(tasks(leader)) == 4, "looking and changing is not live"

    tables = {each["table"]: each for each in document(run("diff", directory=log))["tables"]}
    assert tables["junk"]["schema"] == "lost"
    counts = tables["task"]
    assert (counts["lost"], counts["changed"], counts["gained"]) == (2, 2, 0)
    assert {
        "kind": "changed",
        "live": {"id": "a", "status": "KILLED"},
        "staged": {"id": "a", "status": "RUNNING"},
    } in counts["examples"]

    refused = run("commit", directory=log)
    assert refused.exit_code == 24 and "4 rows" in error(refused)["message"]
    assert len(tasks(leader)) == 4

    committed = document(run("commit", "--force", directory=log))
    assert Path(committed["kept"]).name.startswith("log.before-")
    assert Path(committed["kept"]).exists()
    assert tasks(leader) == BEFORE[:2]
    status = leader.call("status")
    assert status["state"] == "leading" and status["epoch"] == epoch + 1 == committed["epoch"]
    assert committed["tables"]

    # What was there before is still in the log, and can be staged by its position.
    assert document(run("unload", directory=log)) == {"unloaded": True}
    assert document(run("unload", directory=log)) == {"unloaded": False}
    document(run("stage", str(committed["before"]), directory=log))
    rows = document(run("sql", "SELECT count(*) FROM task", directory=log))["rows"]
    assert rows == [[4]]


def test_the_state_at_a_time_is_staged(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    time.sleep(0.01)
    moment = datetime.now(timezone.utc)
    time.sleep(0.01)
    leader.call("script", statements=["DELETE FROM task"])
    document(run("stage", moment.isoformat(), directory=log))
    rows = document(run("sql", "SELECT count(*) FROM task", directory=log))["rows"]
    assert rows == [[3]]


def test_a_standby_refuses_and_names_the_leader(workers: ExitStack, tmp_path: Path) -> None:
    cluster = Cluster(workers, tmp_path, host="the-leader:8080")
    cluster.replicas[0].call("lead")
    position = cluster.replicas[0].call("script", statements=["CREATE TABLE t (a)"])
    cluster.replicas[1].call("wait_for", position=position)
    log = tmp_path / "1"
    file = backup(tmp_path / "b.db", log)
    document(run("stage", file, directory=log))
    refused = run("commit", "--force", directory=log)
    assert refused.exit_code == 13
    assert "the-leader:8080" in error(refused)["hint"]


def test_with_everything_down_a_new_ensemble_starts_from_a_copied_directory(
    leader: Worker, workers: ExitStack, tmp_path: Path
) -> None:
    file = backup(tmp_path / "b.db", tmp_path / "log")
    leader.kill()
    new = tmp_path / "new" / "log"
    document(run("stage", file, directory=new))
    assert document(run("diff", directory=new))["tables"][0]["gained"] == 3
    committed = document(run("commit", directory=new))
    assert committed["moved_aside"] is None and committed["position"] > 0
    assert document(run("unload", directory=new)) == {"unloaded": True}

    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    for number in range(3):
        shutil.copytree(new, tmp_path / str(number))
    replicas = [
        spawn_store(
            workers, directory=str(tmp_path / str(number)), address=address, peers=addresses
        )
        for number, address in enumerate(addresses)
    ]
    replicas[1].call("lead")
    assert tasks(replicas[1]) == BEFORE
    position = replicas[1].call("script", statements=["INSERT INTO task VALUES ('d', 'NEW')"])
    for replica in replicas:
        replica.call("wait_for", position=position)
        assert tasks(replica) == [*BEFORE, ["d", "NEW"]]
    replicas[1].kill()
    replicas[2].call("lead")
    assert tasks(replicas[2]) == [*BEFORE, ["d", "NEW"]]


def test_a_log_that_is_there_is_moved_aside_and_stays_readable(
    leader: Worker, workers: ExitStack, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    file = backup(tmp_path / "b.db", log)
    leader.call("script", statements=["DELETE FROM task WHERE id = 'a'"])
    leader.call("script", statements=["CREATE TABLE decided (a)"])
    leader.kill()
    document(run("stage", file, directory=log))
    (task,) = [
        each for each in document(run("diff", directory=log))["tables"] if each["table"] == "task"
    ]
    assert (task["lost"], task["gained"]) == (0, 1)
    refused = run("commit", directory=log)
    assert refused.exit_code == 24
    committed = document(run("commit", "--force", directory=log))
    aside = Path(committed["moved_aside"])
    assert aside.name.startswith("log.before-") and (aside / "CURRENT").exists()
    again = spawn_store(workers, directory=str(log))
    again.call("catch_up")
    again.call("lead")
    assert tasks(again) == BEFORE


def _interrupt(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def stopped(leader: Worker, tmp_path: Path) -> Path:
    """A log directory whose process is gone, with an older state staged for it."""
    file = backup(tmp_path / "b.db", tmp_path / "log")
    leader.call("script", statements=["DELETE FROM task"])
    leader.call("script", statements=["CREATE TABLE decided (a)"])
    leader.kill()
    document(run("stage", file, directory=tmp_path / "log"))
    return tmp_path / "log"


def _entries(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("moment", ["_differences", "Store.lead", "restore", "aside"])
def test_an_offline_commit_that_is_interrupted_says_that_nothing_was_changed(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    before, beside = fingerprint(stopped), _entries(tmp_path)
    where = {
        "_differences": "aurora_store.cli.recovery._differences",
        "Store.lead": "aurora_store.store.Store.lead",
        "restore": "aurora_store.recovery.offline.restore",
        "aside": "aurora_store.recovery.offline.os.rename",
    }[moment]
    rename = os.rename

    def rename_and_interrupt(source: Path, target: Path) -> None:
        rename(source, target)
        _interrupt()

    with monkeypatch.context() as patched:
        patched.setattr(where, rename_and_interrupt if moment == "aside" else _interrupt)
        told = error(run("commit", "--force", directory=stopped))
    assert (told["code"], told["name"]) == (130, "Interrupted")
    assert "nothing was changed" in told["message"]
    assert "recovery commit" in told["hint"]
    assert (fingerprint(stopped), _entries(tmp_path)) == (before, beside)
    assert document(run("commit", "--force", directory=stopped))["moved_aside"]


def test_an_offline_commit_that_fails_leaves_everything_as_it_was(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, beside = fingerprint(stopped), _entries(tmp_path)

    def full(*_: object, **__: object) -> None:  # fault simulation: the disk fills up
        raise LogUnavailable("the disk is full")

    monkeypatch.setattr("aurora_store.recovery.offline.restore", full)
    assert run("commit", "--force", directory=stopped).exit_code == 11
    assert (fingerprint(stopped), _entries(tmp_path)) == (before, beside)


def test_an_offline_commit_that_is_interrupted_at_its_end_says_that_it_is_done(
    stopped: Path, workers: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def replace_and_interrupt(source: Path, target: Path) -> None:
        replace(source, target)
        if target == stopped:
            _interrupt()

    with monkeypatch.context() as patched:
        patched.setattr("aurora_store.atomic_file.os.replace", replace_and_interrupt)
        told = error(run("commit", "--force", directory=stopped))
    assert told["code"] == 130 and "it is done" in told["message"]
    again = spawn_store(workers, directory=str(stopped))
    again.call("catch_up")
    again.call("lead")
    assert tasks(again) == BEFORE


def test_an_interrupted_commit_on_a_running_store_says_how_to_see_whether_it_is_done(
    leader: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    document(run("stage", backup(tmp_path / "b.db", log), directory=log))
    leader.call("script", statements=["DELETE FROM task"])
    asked = control.ask

    def interrupted(directory: Path, operation: str, *rest: Any, **options: Any) -> Any:
        answer = asked(directory, operation, *rest, **options)
        if operation == "recovery commit":
            _interrupt()
        return answer

    with monkeypatch.context() as patched:
        patched.setattr("aurora_store.control.ask", interrupted)
        told = error(run("commit", "--force", directory=log))
    assert told["code"] == 130 and "may be in the log" in told["message"]
    assert "aurora-store recovery diff" in told["hint"]
    assert document(run("diff", directory=log))["tables"] == []


def test_a_directory_that_is_open_elsewhere_is_not_touched(
    workers: ExitStack, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    worker = spawn_store(workers, directory=str(log), control=False)
    worker.call("catch_up")
    worker.call("lead")
    worker.call("script", statements=["CREATE TABLE t (a)"])
    plain = tmp_path / "plain.db"
    with closing(sqlite3.connect(plain)) as connection:
        connection.execute("CREATE TABLE t (a)")
    document(run("stage", plain, directory=log))
    refused = run("commit", "--force", directory=log)
    assert refused.exit_code == 12, refused.stderr
    worker.call("script", statements=["INSERT INTO t VALUES (1)"])


def test_diff_shortens_long_values_and_keeps_a_row_on_a_line(
    leader: Worker, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    document(run("stage", backup(tmp_path / "b.db", log), directory=log))
    leader.call(
        "script",
        statements=[
            "UPDATE task SET status = replace(printf('%5000c', 'x'), ' ', 'y') WHERE id = 'a'",
            "UPDATE task SET status = zeroblob(100000) WHERE id = 'b'",
            "UPDATE task SET status = 'two' || char(10) || 'lines' WHERE id = 'c'",
        ],
    )
    words = ["recovery", "diff", "--directory", str(log)]
    lines = CliRunner().invoke(main, words).stdout.splitlines()
    rows = [line for line in lines if line.startswith("task: changed: ")]
    assert len(rows) == 3 and all(len(row) < 200 for row in rows)
    assert "(5000 characters) -> id='a', status='RUNNING'" in rows[0]
    assert "status=x'0000" in rows[1] and "(100000 bytes) -> " in rows[1]
    assert r"status='two\nlines' -> " in rows[2]
    (task,) = document(run("diff", directory=log))["tables"]
    whole = {each["live"]["id"]: each["live"]["status"] for each in task["examples"]}
    assert (len(whole["a"]), len(whole["b"])) == (5000, len("x''") + 2 * 100_000)


# ---- staging ----


def test_a_sqlite_file_of_somebody_else_can_be_staged_whatever_its_pages(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        log = tmp_path / "log"
        staged = document(run("stage", foreign, directory=log))["staged"]
    assert staged["position"] is None and "no backup of a store" in staged["source"]
    assert document(run("sql", "PRAGMA page_size", directory=log))["rows"] == [[4096]]
    assert document(run("sql", "SELECT a FROM t", directory=log))["rows"] == [[1]]


def test_one_copy_at_a_time(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    file = backup(tmp_path / "b.db", log)
    document(run("stage", file, directory=log))
    refused = run("stage", file, directory=log)
    assert refused.exit_code == 24 and "already" in error(refused)["message"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no-sidecar", "no-database"])
def test_a_damaged_backup_is_not_staged(leader: Worker, tmp_path: Path, damage: str) -> None:
    log = tmp_path / "log"
    file = backup(tmp_path / "b.db.zst", log)
    if damage == "truncated":
        os.truncate(file, 100)
    elif damage == "flipped":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "no-sidecar":
        Path(f"{file}.json").unlink()
    else:
        file = tmp_path / "text.db"
        file.write_text("no database")
    refused = run("stage", file, directory=log)
    assert refused.exit_code == 3, refused.stderr
    assert document(run("status", directory=log))["staged"] is None
    assert run("sql", "SELECT 1", directory=log).exit_code == 24


def test_what_is_not_there_is_named(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    result = run("stage", tmp_path / "missing.db", directory=log)
    assert result.exit_code == 1 and "missing.db" in error(result)["message"]
    result = run("stage", "99999", directory=log)
    assert result.exit_code == 21 and "99999" in error(result)["message"]
    result = run("stage", "2020-01-01T00:00Z", directory=log)
    assert result.exit_code == 20 and "history" in error(result)["message"]
    result = run("stage", "2020-01-01T00:00", directory=log)
    assert result.exit_code == 2 and "time zone" in error(result)["message"]
    result = run("stage", "5", directory=tmp_path / "nowhere")
    assert result.exit_code == 11
    for command in (("sql", "SELECT 1"), ("diff",), ("commit",)):
        result = run(*command, directory=log)
        assert result.exit_code == 24 and "nothing is staged" in error(result)["message"]


def test_sql_that_sqlite_refuses_is_an_error_and_no_traceback(
    leader: Worker, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    document(run("stage", backup(tmp_path / "b.db", log), directory=log))
    result = run("sql", "SELEC 1", directory=log)
    assert result.exit_code == 1 and "syntax error" in error(result)["message"]
    assert document(run("sql", "SELECT x'00ff'", directory=log))["rows"] == [["x'00ff'"]]


def test_a_folder_that_cannot_be_written_is_named(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    file = backup(tmp_path / "b.db", log)
    (tmp_path / "log.recovery").write_text("in the way")
    result = run("stage", file, directory=log)
    assert result.exit_code == 1 and "log.recovery" in error(result)["message"]
