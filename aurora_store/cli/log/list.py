"""``aurora-store log list``: one row for each position."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aurora_store.cli.log.common import (
    DAMAGE_FOUND,
    POSITION,
    READING,
    directory_argument,
    print_rows,
    reading,
    warn_of_damage,
)
from aurora_store.cli.output import json_option, print_json, show_progress

if TYPE_CHECKING:
    from aurora_store.inspection.listing import Row

KINDS = (
    "leader",
    "heartbeat",
    "batch",
    "batch_part",
    "snapshot_begin",
    "snapshot_chunk",
    "snapshot_end",
    "nop",
    "truncate",
    "promised",
    "foreign",
    "damaged",
    "too_new",
)


@click.command("list")
@directory_argument
@click.option("--from", "first", type=POSITION, default="0", help="First position.")
@click.option("--to", "last", type=POSITION, help="Last position.")
@click.option(
    "--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Only these; may be repeated."
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Stop after so many rows; 0: show all.",
)
@json_option
def list_entries(
    directory: Path,
    first: int,
    last: int | None,
    kinds: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """List what the log holds, a row for each position.

    The columns are those of docs/log-format.md; "transactions" counts those that changed
    something, "bytes" is the size of the entry in the log, the time is the leader's clock in UTC.
    Positions that the replica has nothing for have no row: see log verify. A terminal of fewer than
    120 columns shows fewer of them.

    \b
    Examples:
      aurora-store log list /var/lib/scheduler/store --limit 20
      aurora-store log list COPY --from 120000 --kind leader --json
    """
    from aurora_store.log.files import ReplicaDirectory

    replica = ReplicaDirectory.read(directory)
    following: list[int] = []
    with show_progress(READING) as progress:

        def rows() -> Iterator[Row]:
            from aurora_store.inspection.listing import row_of

            count = 0
            for action in replica.entries(first, last, progress=reading(progress)):
                row = row_of(action)
                if kinds and row.kind not in kinds:
                    continue
                if limit and count == limit:
                    following.append(row.position)
                    return
                count += 1
                yield row

        if as_json:
            listed = [row.as_json() for row in rows()]
        else:
            print_rows(rows())
    if as_json:
        print_json({"entries": listed, "next": following[0] if following else None})
    elif following:
        click.echo(f"There are more: --from {following[0]}, or --limit 0 for all", err=True)
    if warn_of_damage(replica):
        raise click.exceptions.Exit(DAMAGE_FOUND)
