"""``aurora-store backup``, on a running store of the real log."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from harness import Worker

from aurora_store.cli.commands import main


def run(*arguments: str | Path) -> Result:
    """The command in this process, its output in a pipe."""
    return CliRunner().invoke(main, ["backup", *map(str, arguments)])


def document(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def error(result: Result) -> dict[str, Any]:
    """The JSON object of an error, the last line of stderr."""
    answer: dict[str, Any] = json.loads(result.stderr.splitlines()[-1])
    assert answer["code"] == result.exit_code
    return answer


@pytest.mark.parametrize("options", [(), ("--compress",)])
def test_now_makes_a_backup_that_verify_proves_and_list_shows(
    leader: Worker, tmp_path: Path, options: tuple[str, ...]
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    made = run("now", folder, "--directory", tmp_path / "log", "--json", *options)
    assert made.exit_code == 0, made.stderr
    status = leader.call("status")
    assert document(made)["position"] == status["position"]
    assert document(made)["version"] == status["version"]
    path = Path(document(made)["path"])
    assert path.parent == folder

    verified = run("verify", path, "--json")
    assert verified.exit_code == 0, verified.stderr
    assert document(verified)["ok"] is True
    assert set(document(verified)["checks"]) >= {"file", "database", "integrity"}

    listed = run("list", folder, "--json")
    assert [each["path"] for each in document(listed)["backups"]] == [str(path)]
    assert path.name in run("list", folder).stdout
    assert "integrity\tok" in run("verify", path).stdout


def test_a_relative_file_is_meant_from_where_the_command_runs(
    leader: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("now", "mine.db", "--directory", "log").exit_code == 0
    assert (tmp_path / "mine.db").exists()


def test_compress_with_a_file_that_is_not_named_so_is_a_usage_error(tmp_path: Path) -> None:
    result = run("now", tmp_path / "b.db", "--directory", tmp_path, "--compress", "--json")
    assert result.exit_code == 2
    assert ".zst" in result.stderr and "b.db" in result.stderr
    # A name that fits, and a directory, get as far as to the store.
    for target in (tmp_path / "b.db.zst", tmp_path):
        result = run("now", target, "--directory", tmp_path, "--compress", "--json")
        assert result.exit_code == 28


def test_without_a_running_store_it_says_so(tmp_path: Path) -> None:
    result = run("now", tmp_path / "b.db", "--directory", tmp_path, "--json")
    assert result.exit_code == 28
    assert error(result)["name"] == "StoreNotRunning"
    assert error(result)["hint"]


def test_where_it_cannot_write_the_store_says_why(leader: Worker, tmp_path: Path) -> None:
    result = run("now", tmp_path / "no" / "b.db", "--directory", tmp_path / "log", "--json")
    assert result.exit_code == 29
    assert "No such file" in error(result)["message"]
    assert leader.call("status")["state"] == "leading"


def test_the_log_of_the_running_store_is_not_replaced(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    current = (log / "CURRENT").read_bytes()
    for target in (log / "CURRENT", log):
        result = run("now", target, "--directory", log, "--json")
        assert result.exit_code == 29
        assert "is a log directory" in error(result)["message"] and error(result)["hint"]
    assert (log / "CURRENT").read_bytes() == current
    assert not list(log.glob("*.json")) and not list(log.glob("backup-*"))


def test_a_damaged_backup_is_exit_code_3_and_the_damage_is_printed(
    leader: Worker, tmp_path: Path
) -> None:
    path = tmp_path / "b.db"
    assert run("now", path, "--directory", tmp_path / "log").exit_code == 0
    content = bytearray(path.read_bytes())
    content[5000] ^= 4
    path.write_bytes(content)
    result = run("verify", path, "--json")
    assert result.exit_code == 3
    checks = document(result)["checks"]
    assert "SHA-256" in checks["file"] and "checksum" in checks["database"]
    assert "file, database" in error(result)["message"]
    os.truncate(path, 4096)
    (listed,) = document(run("list", tmp_path, "--json"))["backups"]
    assert listed["complete"] is False and "4096 bytes" in listed["problem"]
    (tmp_path / "b.db.json").unlink()
    result = run("verify", path, "--json")
    assert (result.exit_code, error(result)["name"]) == (3, "Corrupt")


def test_an_incomplete_one_is_listed_with_what_is_wrong(leader: Worker, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    made = run("now", folder, "--directory", tmp_path / "log", "--json")
    path = Path(document(made)["path"])
    Path(f"{path}.json").unlink()
    (listed,) = document(run("list", folder, "--json"))["backups"]
    assert listed["complete"] is False and "no backup" in listed["problem"]


def test_verify_says_that_a_file_is_not_there_or_no_backup(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "missing.db", "there is no file"), (tmp_path, "a directory")):
        result = run("verify", path, "--json")
        assert result.exit_code == 29 and said in error(result)["message"]
    (tmp_path / "b.db").write_text("anything")
    (tmp_path / "b.db.json").write_text("[]")
    result = run("verify", tmp_path / "b.db", "--json")
    assert result.exit_code == 3 and "not a backup's sidecar" in error(result)["message"]


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run("list", tmp_path / "missing", "--json")
    assert result.exit_code == 29 and "missing" in error(result)["message"]
