"""``aurora-store`` itself: its version, its help, and that every command has one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from aurora_store.cli.commands import main


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command and group."""
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_every_command_has_help(runner: CliRunner, path: tuple[str, ...]) -> None:
    result = runner.invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    description = result.stdout.split("\n\n")[1].strip()
    assert description.endswith((".", ":"))
    assert not description.startswith("Options")


def test_version_names_the_program(runner: CliRunner) -> None:
    result = runner.invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("aurora-store ")


def test_no_command_is_wrong_usage(runner: CliRunner) -> None:
    assert runner.invoke(main, []).exit_code == 2


def test_help_loads_neither_rich_nor_the_registry_client() -> None:
    program = (
        "import sys\n"
        "from aurora_store.cli.commands import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "assert not {'rich', 'pypi_simple', 'elftools', 'requests'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.fixture
def interrupted_while_importing(tmp_path: Path) -> dict[str, str]:
    """An environment in which Ctrl-C comes while the command line still imports click."""
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}


@pytest.mark.parametrize(
    "start", [["-m", "aurora_store.cli"], ["-c", "from aurora_store.cli import main; main()"]]
)
def test_an_interrupt_while_python_still_imports_is_an_interrupt(
    interrupted_while_importing: dict[str, str], start: list[str]
) -> None:
    command = [sys.executable, *start, "log", "tail", "somewhere"]
    for arguments in ([], ["--json"]):
        ran = subprocess.run(
            [*command, *arguments],
            env=interrupted_while_importing,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stdout) == (130, ""), ran.stderr
        if arguments:
            assert json.loads(ran.stderr)["name"] == "Interrupted"
        else:
            assert ran.stderr == "Error: interrupted\n"
