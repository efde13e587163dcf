"""``aurora-store libmesos``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aurora_store.cli.commands import main


def test_info_tells_which_library_is_used_and_why(runner: CliRunner, libmesos_path: Path) -> None:
    result = runner.invoke(main, ["libmesos", "info", "--libmesos", str(libmesos_path)])
    assert result.exit_code == 0
    assert result.stderr == ""
    rows = dict(line.split("\t") for line in result.stdout.splitlines())
    assert rows["path"] == str(libmesos_path.resolve())
    assert rows["found by"] == "the --libmesos option"
    assert rows["version"] == "1.11.0"
    assert rows["C++ ABI"] == "cxx11"
    assert rows["TLS"] == "not available"
    assert rows["compaction"] == "while running"


def test_info_is_one_json_document_when_wanted(runner: CliRunner, libmesos_path: Path) -> None:
    variables = {"AURORA_STORE_LIBMESOS": str(libmesos_path)}
    result = runner.invoke(main, ["libmesos", "info", "--json"], env=variables)
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer.pop("symbols") > 0
    assert answer == {
        "path": str(libmesos_path.resolve()),
        "rule": "AURORA_STORE_LIBMESOS",
        "version": "1.11.0",
        "abi": "cxx11",
        "tls": False,
        "compacts": True,
        "passed_over": [],
    }


def test_info_exits_with_10_for_a_file_that_is_no_library(
    runner: CliRunner, tmp_path: Path
) -> None:
    text = tmp_path / "libmesos.so"
    text.write_text("text")
    result = runner.invoke(main, ["libmesos", "info", "--libmesos", str(text)])
    assert result.exit_code == 10
    assert result.stdout == ""
    assert result.stderr == (
        f"Error: libmesos {text} (named explicitly) cannot be used:"
        " it is not a shared library (no ELF file)\n"
        "Try: aurora-store libmesos fetch, then leave out the path\n"
    )


def test_info_exits_with_10_for_a_variable_that_names_nothing(runner: CliRunner) -> None:
    variables = {"MESOS_NATIVE_LIBRARY": "/nonexistent/libmesos.so"}
    result = runner.invoke(main, ["libmesos", "info", "--json"], env=variables)
    assert result.exit_code == 10
    answer = json.loads(result.stderr)
    assert (answer["code"], answer["name"]) == (10, "LibmesosNotFound")
    assert answer["hint"] == "unset MESOS_NATIVE_LIBRARY && aurora-store libmesos fetch"


def test_info_exits_with_10_for_a_library_that_does_not_load(
    runner: CliRunner, libmesos_path: Path, tmp_path: Path
) -> None:
    # A hard link has no stubs beside it.
    alone = tmp_path / "libmesos.so"
    try:
        alone.hardlink_to(libmesos_path)
    except OSError:
        pytest.skip("the cache is on another file system")
    result = runner.invoke(main, ["libmesos", "info", "--libmesos", str(alone)])
    assert result.exit_code == 10
    assert "cannot be loaded: libaurora-mesos-stubs.so" in result.stderr


def test_fetch_prints_the_path_of_the_library(runner: CliRunner, libmesos_path: Path) -> None:
    result = runner.invoke(main, ["libmesos", "fetch"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{libmesos_path}\n", "")


def test_fetch_is_one_json_document_when_wanted(runner: CliRunner, libmesos_path: Path) -> None:
    result = runner.invoke(main, ["libmesos", "fetch", "--json"])
    assert json.loads(result.stdout) == {"path": str(libmesos_path), "version": "1.11.0"}


def test_fetch_that_fails_prints_nothing_on_stdout(runner: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    variables = {"AURORA_STORE_CACHE": str(tmp_path / "file" / "cache")}
    result = runner.invoke(main, ["libmesos", "fetch"], env=variables)
    assert result.exit_code == 10
    assert result.stdout == ""
    assert "Try: make room or name another cache directory" in result.stderr
