"""How errors leave the command line."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from aurora_store import errors
from aurora_store.cli.errors import RenderingGroup
from aurora_store.cli.output import json_option


def failing(error: BaseException) -> click.Group:
    """A command line whose only command raises this."""

    @click.group(cls=RenderingGroup)
    def group() -> None:
        """A group."""

    @group.command()
    @click.option("--count", type=int)
    @json_option
    def fail(count: int | None, as_json: bool) -> None:
        """Raise it."""
        raise error

    return group


def all_store_errors() -> list[type[errors.StoreError]]:
    """`StoreError` and everything below it."""
    found = [errors.StoreError]
    for error in found:
        found.extend(error.__subclasses__())
    return found


@pytest.mark.parametrize("error", all_store_errors())
def test_store_error_is_two_lines_and_the_exit_code_of_its_class(
    runner: CliRunner, error: type[errors.StoreError]
) -> None:
    result = runner.invoke(failing(error("it failed", hint="something else")), ["fail"])
    assert result.exit_code == error.exit_code
    assert result.stdout == ""
    assert result.stderr == "Error: it failed\nTry: something else\n"


def test_store_error_without_hint_is_one_line(runner: CliRunner) -> None:
    result = runner.invoke(failing(errors.NotLeader("not the leader")), ["fail"])
    assert result.stderr == "Error: not the leader\n"


def test_store_error_is_one_json_object_when_json_is_wanted(runner: CliRunner) -> None:
    error = errors.NotLeader("not the leader", hint="ask the leader")
    result = runner.invoke(failing(error), ["fail", "--json"])
    assert result.exit_code == 13
    assert result.stdout == ""
    assert json.loads(result.stderr) == {
        "type": "error",
        "code": 13,
        "name": "NotLeader",
        "message": "not the leader",
        "hint": "ask the leader",
    }


def test_unexpected_error_is_one_line_that_says_how_to_see_more(runner: CliRunner) -> None:
    result = runner.invoke(failing(ZeroDivisionError("division by zero")), ["fail"])
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: unexpected ZeroDivisionError: division by zero\n"
        "Try: set AURORA_STORE_DEBUG=1 for the traceback\n"
    )


@pytest.mark.parametrize("error", [ZeroDivisionError("unexpected"), errors.NotLeader("expected")])
def test_traceback_is_shown_on_demand(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setenv("AURORA_STORE_DEBUG", "1")
    result = runner.invoke(failing(error), ["fail"])
    assert "Traceback (most recent call last)" in result.stderr


def test_interrupt_exits_with_130(runner: CliRunner) -> None:
    result = runner.invoke(failing(KeyboardInterrupt()), ["fail"])
    assert result.exit_code == 130
    assert result.stderr == "Error: interrupted\n"


def test_wrong_usage_shows_the_usage_and_exits_with_2(runner: CliRunner) -> None:
    result = runner.invoke(failing(ValueError()), ["fail", "--count", "many"])
    assert result.exit_code == 2
    assert "Usage:" in result.stderr
    assert "'many' is not a valid integer" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["fail", "--unknown", "--json"], ["unknown", "--json"], ["--unknown", "--json"]]
)
def test_wrong_usage_is_a_json_object_too(runner: CliRunner, arguments: list[str]) -> None:
    result = runner.invoke(failing(ValueError()), arguments)
    assert result.exit_code == 2
    assert json.loads(result.stderr)["code"] == 2


def test_reader_that_has_gone_is_no_error_to_report(runner: CliRunner) -> None:
    result = runner.invoke(failing(BrokenPipeError(32, "Broken pipe")), ["fail"])
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/no/x.db"), "ls -ld /no"),
        (PermissionError(errno.EACCES, "Permission denied", b"/no/x.db"), "a user who may use /no"),
        (OSError(errno.ENOSPC, "No space left on device", Path("/no/x.db")), "df -h /no"),
    ],
)
def test_what_the_operating_system_refuses_is_an_ordinary_failure(
    runner: CliRunner, error: OSError, hint: str
) -> None:
    result = runner.invoke(failing(error), ["fail"])
    assert result.exit_code == 1
    said, tried = result.stderr.splitlines()
    assert said == f"Error: /no/x.db: {error.strerror}"
    assert tried.startswith("Try: ") and hint in tried
    told = json.loads(runner.invoke(failing(error), ["fail", "--json"]).stderr)
    assert (told["code"], told["name"]) == (1, type(error).__name__)


def test_an_operating_system_error_without_a_file_is_its_reason(runner: CliRunner) -> None:
    result = runner.invoke(failing(OSError(errno.EIO, "Input/output error")), ["fail"])
    assert (result.exit_code, result.stderr) == (1, "Error: Input/output error\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_takes_nothing_is_named(unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "aurora_store.cli", "demo", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (
        1,
        "Error: standard output: No space left on device\nTry: send it somewhere else\n",
    )
