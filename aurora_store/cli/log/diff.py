"""``aurora-store log diff``: the rows that differ between two positions."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from aurora_store.cli.log.common import directory_argument
from aurora_store.cli.log.history import (
    CHANGE_HEADERS,
    MOMENT,
    STEPS,
    change_rows,
    changes_json,
    limit_option,
    limited,
    open_source,
    replaying,
    tell_of_more,
)
from aurora_store.cli.output import json_option, print_json, print_table, show_progress


@click.command()
@directory_argument
@click.argument("first", metavar="A", type=MOMENT)
@click.argument("last", metavar="B", type=MOMENT)
@limit_option
@json_option
def diff(
    directory: Path, first: int | datetime, last: int | datetime, limit: int, as_json: bool
) -> None:
    """Show which rows of which tables differ between A and B, before and after.

    A and B are positions or times; a time needs its time zone and means the last entry that is
    not later. What was changed and changed back in between does not show.

    Exit codes: 20 a position is before the history kept; 21 one is after the newest entry; 3 the
    log is damaged before B.

    \b
    Examples:
      aurora-store log diff /var/lib/scheduler/store 1200 1300
      aurora-store log diff COPY 2026-11-25T14:00:00Z 2026-11-25T14:05:00Z --json
    """
    from aurora_store.differences import between
    from aurora_store.history import position_at

    with show_progress(STEPS) as progress:
        source = open_source(directory, progress)
        report = replaying(progress)
        begin = position_at(source, first, progress=report)
        end = position_at(source, last, progress=report)
        if begin > end:
            raise click.UsageError(f"position {begin} is after position {end}: turn them round")
        with between(source, begin, end, progress=report) as versions:
            schema = versions.schema()
            rows, more = limited(versions.rows(), limit)
    if as_json:
        print_json({"from": begin, "to": end, **changes_json(schema, rows), "more": more})
        return
    print_table(CHANGE_HEADERS, change_rows(schema, rows))
    if more:
        tell_of_more()
