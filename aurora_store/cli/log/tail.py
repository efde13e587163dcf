"""``aurora-store log tail``: the newest positions, and those that are added."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from aurora_store.cli.log.common import (
    DAMAGE_FOUND,
    HEADERS,
    cells,
    directory_argument,
    print_rows,
    warn_of_damage,
)
from aurora_store.cli.output import print_json

_OLDER_AT_A_TIME = 2000  # positions in a pause: some tens of milliseconds


@click.command()
@directory_argument
@click.option(
    "--lines",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Begin so many positions before the end.",
)
@click.option("--follow", is_flag=True, help="Go on as the log grows, until interrupted.")
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(min=0),
    help="With --follow: end after so many seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document for each row.")
def tail(directory: Path, lines: int, follow: bool, seconds: float | None, as_json: bool) -> None:
    """Show the newest positions of the log, and with --follow those that are added.

    Works on the directory of a replica that runs, without asking its process, and shows what that
    replica knows to be agreed: on a standby the last entry shows up with the next one.

    What is older is read afterwards, or while nothing is new, for its damage alone. Exit code: 3
    damage was found.

    \b
    Examples:
      aurora-store log tail /var/lib/scheduler/store
      aurora-store log tail /var/lib/scheduler/store --follow --for 60 --json
    """
    from aurora_store.inspection.tailing import tail as rows_of
    from aurora_store.log.files import ReplicaDirectory

    if seconds is not None and not follow:
        raise click.UsageError("--for goes with --follow")
    replica = ReplicaDirectory.read(directory)
    first = max(replica.last_position() + 1 - lines, 0)
    limit = seconds if follow else 0.0
    rows = rows_of(replica, first, seconds=limit)
    older = replica.entries(0, first - 1)
    warned = False
    try:
        if not (follow or as_json):
            print_rows(row for row in rows if row is not None)
        else:
            if not as_json:
                # No table: its columns would be known at the end only.
                click.echo("\t".join(HEADERS))
            for row in rows:
                if row is None:
                    sys.stdout.flush()
                    _read(itertools.islice(older, _OLDER_AT_A_TIME))
                    if replica.damages and not warned:
                        warned = True  # first: an interrupt may come with the warning
                        warn_of_damage(replica)
                elif as_json:
                    print_json(row.as_json())
                else:
                    click.echo("\t".join(cells(row)))
        if not follow:
            _read(older)
    except KeyboardInterrupt:
        if not follow:
            raise
    if warned or warn_of_damage(replica):
        raise click.exceptions.Exit(DAMAGE_FOUND)


def _read(actions: Iterable[object]) -> None:
    for _ in actions:
        pass
