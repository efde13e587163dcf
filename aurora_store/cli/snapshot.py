"""``aurora-store snapshot``: snapshots of the database in the log of a running store."""

from __future__ import annotations

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

_STEPS = {"snapshot": "Writing the snapshot into the log", "verify": "Reading it back"}


@click.group()
def snapshot() -> None:
    """Take, list and verify snapshots of the database in the log.

    A starting replica reads the newest one and what came after it, and the log before one can be
    truncated. A store takes them by itself (docs/architecture.md). All of these ask the store that
    runs on a log directory of this machine.
    """


@snapshot.command()
@directory_option
@json_option
def now(directory: Path, as_json: bool) -> None:
    """Take a snapshot, while the store goes on. For the leader.

    Exit codes: 13 this replica does not lead, the message says who does; 28 no store runs there.

    \b
    Example:
      aurora-store snapshot now --directory /var/lib/scheduler/log
    """
    from aurora_store.control import ask

    with show_progress(_STEPS) as progress:
        taken = ask(directory, "snapshot now", progress=progress)
    if as_json:
        print_json(taken)
    else:
        _print([taken])


@snapshot.command("list")
@directory_option
@json_option
def list_(directory: Path, as_json: bool) -> None:
    """List the complete snapshots in the log, the newest first. On any replica.

    \b
    Example:
      aurora-store snapshot list --directory /var/lib/scheduler/log --json
    """
    from aurora_store.control import ask

    found = ask(directory, "snapshot list")
    if as_json:
        print_json(found)
    else:
        _print(found["snapshots"])


@snapshot.command()
@directory_option
@click.argument("position", type=int, required=False)
@json_option
def verify(directory: Path, position: int | None, as_json: bool) -> None:
    """Read a snapshot back from the log and compare it with its checksum. On any replica.

    POSITION is one of the list; by default the newest. AURORA_STORE_DIRECTORY names the directory
    instead of --directory.

    Exit codes: 3 it is damaged, the message names the position; 28 no store runs there; 36 no
    snapshot begins there.

    \b
    Example:
      aurora-store snapshot verify --directory /var/lib/scheduler/log
    """
    from aurora_store.control import ask

    with show_progress(_STEPS) as progress:
        found = ask(directory, "snapshot verify", {"position": position}, progress=progress)
    if as_json:
        print_json(found)
    else:
        click.echo(f"the snapshot at {found['position']} is what its checksum says")


def _print(snapshots: list[dict[str, Any]]) -> None:
    print_table(
        ("position", "time", "version", "pages", "database"),
        [
            (
                str(each["position"]),
                each["time"],
                str(each["version"]),
                str(each["pages"]),
                human_bytes(each["database_bytes"]),
            )
            for each in snapshots
        ],
    )
