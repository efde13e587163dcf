"""``aurora-store`` itself: its version, its help, and that every command has one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from aurora_store.cli import main


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
        "from aurora_store.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "assert not {'rich', 'pypi_simple', 'elftools', 'requests'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
