"""``aurora-store truncate``: forgetting the beginning of the log of a running store."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aurora_store.cli.backup import directory_option
from aurora_store.cli.output import (
    human_bytes,
    json_option,
    print_json,
    print_table,
    show_progress,
)

_STEPS = {"verify": "Reading snapshots back", "truncate": "Truncating"}


def _history_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--hours",
            type=click.FloatRange(min=0),
            default=0.0,
            show_default=True,
            help="Keep the history of so many hours.",
        ),
        click.option(
            "--snapshots",
            type=click.IntRange(min=1),
            default=2,
            show_default=True,
            help="Keep so many snapshots.",
        ),
    ):
        command = option(command)
    return command


@click.group()
def truncate() -> None:
    """Forget the beginning of the log: see what would go, then let it go.

    Nothing goes that the newest snapshots, or the history that is to stay, need. A store does this
    by itself (docs/architecture.md). Both ask the store that runs on a log
    directory of this machine.
    """


@truncate.command()
@directory_option
@_history_options
@json_option
def plan(directory: Path, snapshots: int, hours: float, as_json: bool) -> None:
    """Say what would go, and what stays, and why. Changes nothing; on any replica.

    \b
    Example:
      aurora-store truncate plan --directory /var/lib/scheduler/log --snapshots 3 --hours 24
    """
    found = _plan(directory, snapshots, hours)
    if as_json:
        print_json(found)
    else:
        _print(found)


@truncate.command()
@directory_option
@_history_options
@click.option("--yes", is_flag=True, help="Do not ask on a terminal; needed elsewhere.")
@json_option
def execute(directory: Path, snapshots: int, hours: float, yes: bool, as_json: bool) -> None:
    """Truncate the log as `plan` says, as the leader. It cannot be taken back.

    The snapshots that stay first and last are read back from the log before, and compared with
    their checksums; nothing goes if one is damaged. Each replica then frees its own disk within
    seconds.

    Exit codes: 3 a snapshot is damaged, and the log was left as it is; 13 this replica does not
    lead, the message says who does.

    \b
    Example:
      aurora-store truncate execute --directory /var/lib/scheduler/log --yes
    """
    from aurora_store.control import ask

    found = _plan(directory, snapshots, hours)
    if found["positions"] and not yes:
        if as_json or not sys.stdin.isatty():
            raise click.UsageError("it cannot be taken back: say --yes")
        _print(found)
        click.confirm("Truncate the log so?", abort=True, err=True)
    with show_progress(_STEPS) as progress:
        arguments = {"snapshots": snapshots, "hours": hours, "to": found["to"]}
        done = ask(directory, "truncate execute", arguments, progress=progress)
    if as_json:
        print_json(done)
    elif done["positions"]:
        click.echo(f"the log begins at {done['to']} instead of {done['beginning']}")
    else:
        click.echo(f"nothing to truncate: {done['why']}")


def _plan(directory: Path, snapshots: int, hours: float) -> dict[str, Any]:
    from aurora_store.control import ask

    return ask(directory, "truncate plan", {"snapshots": snapshots, "hours": hours})


def _print(plan: dict[str, Any]) -> None:
    kept = ", ".join(f"{each['position']} ({each['time']})" for each in plan["kept"])
    print_table(
        ("property", "value"),
        [
            ("log begins at", str(plan["beginning"])),
            ("log ends at", str(plan["ending"])),
            ("would begin at", str(plan["to"])),
            ("positions that go", str(plan["positions"])),
            ("disk of this replica", f"about {human_bytes(plan['disk_bytes'])} less"),
            ("snapshots that stay", kept or "none"),
            ("why", plan["why"]),
        ],
    )
