"""``aurora-store log stat``: where the bytes are, and how fast they came."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aurora_store.cli.log.common import (
    DAMAGE_FOUND,
    READING,
    directory_argument,
    reading,
    warn_of_damage,
)
from aurora_store.cli.output import json_option, print_json, print_table, show_progress

if TYPE_CHECKING:
    from aurora_store.inspection.statistics import Statistics

_COLUMNS = 60  # of the plot on a terminal
_STEPS = {
    **READING,
    "replay": "Applying it to a database in memory",
    "walk": "Looking which pages are whose",
}


@click.command()
@directory_argument
@click.option(
    "--tables",
    is_flag=True,
    help="Also count by table; needs the memory that the database takes.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help='Draw the rates over time into this PNG file; needs the extra "plot".',
)
@json_option
def stat(directory: Path, tables: bool, plot: Path | None, as_json: bool) -> None:
    """Show where the bytes of the log are, the biggest transactions, and the rates over time.

    With --tables, the changes of each page are counted for the table or index that the page
    belongs to at the log's end, before compression. That makes the database in memory.

    \b
    Examples:
      aurora-store log stat /var/lib/scheduler/store --plot rates.png
      aurora-store log stat COPY --tables --json
    """
    from aurora_store.inspection.statistics import count
    from aurora_store.log.files import ReplicaDirectory

    replica = ReplicaDirectory.read(directory)
    by_table: Mapping[str, int] | None = None
    with show_progress(_STEPS) as progress:
        statistics = count(replica, progress=reading(progress))
        if tables:
            from aurora_store.inspection.tables import bytes_by_table

            by_table = bytes_by_table(
                directory,
                statistics.page_bytes,
                replaying=lambda done, total: progress("replay", done, total),
                walking=lambda done, total: progress("walk", done, total),
            )
    if plot is not None:
        from aurora_store.inspection.plot import draw

        draw(statistics.rates.series(), plot)
    statistics.rates.fit(_COLUMNS)
    if as_json:
        answer = statistics.as_json()
        answer["tables"] = None if by_table is None else dict(by_table)
        answer["plot"] = None if plot is None else str(plot)
        print_json(answer)
    else:
        _print(statistics, by_table)
        if plot is not None:
            click.echo(f"The plot is in {plot}", err=True)
    if warn_of_damage(replica):
        raise click.exceptions.Exit(DAMAGE_FOUND)


def _print(statistics: Statistics, by_table: Mapping[str, int] | None) -> None:
    from aurora_store.inspection.plot import bars
    from aurora_store.record import time_of

    total = statistics.bytes.total()
    print_table(
        ("kind", "entries", "bytes", "share"),
        [
            (kind, str(statistics.entries[kind]), str(size), _share(size, total))
            for kind, size in statistics.bytes.most_common()
        ],
    )
    if by_table is not None:
        changed = sum(by_table.values())
        ranked = sorted(by_table.items(), key=lambda item: -item[1])
        print_table(
            ("table or index", "bytes of changes", "share"),
            [(name, str(size), _share(size, changed)) for name, size in ranked],
        )
    print_table(
        ("biggest batches", "bytes", "pages", "transactions", "time"),
        [
            (
                str(large.position),
                str(large.bytes),
                str(large.pages),
                str(large.transactions),
                time_of(large.time_us).strftime("%Y-%m-%d %H:%M:%S"),
            )
            for large in statistics.biggest
        ],
    )
    series = statistics.rates.series()
    if not series:
        return
    sizes, counts = [each[1] for each in series], [each[2] for each in series]
    each = f"each column {statistics.rates.width_s} s"
    begin = series[0][0].strftime("%Y-%m-%d %H:%M:%S")
    print_table(
        (f"from {begin}, {each}", "most", "average"),
        [
            (bars(sizes), f"{max(sizes):.0f} bytes/s", f"{sum(sizes) / len(sizes):.0f} bytes/s"),
            (
                bars(counts),
                f"{max(counts):.1f} transactions/s",
                f"{sum(counts) / len(counts):.1f} transactions/s",
            ),
        ],
    )


def _share(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %" if total else ""
