"""What commands print: data on stdout, progress on stderr, each to suit a terminal or a pipe.

On a terminal a table is drawn and progress is a bar. Otherwise a table is tab separated rows, which
are never cut to a width, and progress is a plain line every few seconds.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
"""The ``--json`` option, spelled the same for every command; it arrives as ``as_json``."""

_SECONDS_BETWEEN_LINES = 5.0

Progress = Callable[[str, int, int], None]
"""Reports (step, done, total) of a long job."""


def print_json(answer: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(answer, ensure_ascii=False))


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, whole: Collection[str] = ()
) -> None:
    """Print rows on stdout: a table on a terminal, else tab separated with the same headers.

    On a terminal numbers are on the right of a column that holds nothing else. Tab separated rows
    are printed as they come, so there may be any number of them.

    Args:
        whole: headers of columns that are never folded to make the table fit.
    """
    if not sys.stdout.isatty():
        for row in itertools.chain([headers], rows):
            click.echo("\t".join(row))
        return
    # rich takes a tenth of a second to import, which a pipe need not wait for.
    from rich.console import Console

    Console().print(draw_table(headers, rows, whole=whole))


def human_bytes(count: int) -> str:
    """Three digits and a unit."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"


def draw_table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, whole: Collection[str] = ()
) -> Table:
    """The table that a terminal shows; see `print_table`."""
    from rich.table import Table
    from rich.text import Text

    rows = list(rows)
    table = Table()
    for number, header in enumerate(headers):
        numeric = all(row[number].isdigit() or not row[number] for row in rows)
        table.add_column(header, no_wrap=header in whole, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    return table


def print_checked(
    result: dict[str, Any], show: Callable[[dict[str, Any]], None], *, as_json: bool
) -> None:
    """Print what a demonstration came to; exit code 1 if not all that must hold did.

    Args:
        result: with ``ok`` and ``differences``, one text for each thing that does not hold.
        show: prints it for people.
    """
    if as_json:
        print_json(result)
    else:
        show(result)
    if not result["ok"]:
        for difference in result["differences"]:
            click.echo(f"Error: {difference}", err=True)
        raise click.exceptions.Exit(1)


@contextmanager
def show_progress(texts: Mapping[str, str]) -> Iterator[Progress]:
    """Show the progress of a job of several steps on stderr while the block runs.

    Args:
        texts: what to call each step; a step without a text is not shown.
    """
    if not sys.stderr.isatty():
        yield _line_progress(texts)
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in texts:
                return
            if step not in tasks:
                tasks[step] = bars.add_task(texts[step], total=None)
            # A total of 1 says "started" or "done", nothing in between: a bar that only moves.
            known = total if total > 1 or done == total else None
            bars.update(tasks[step], completed=done, total=known)

        yield report


def _line_progress(texts: Mapping[str, str]) -> Progress:
    started: set[str] = set()
    last_line = 0.0

    def report(step: str, done: int, total: int) -> None:
        nonlocal last_line
        now = time.monotonic()
        if step not in texts or (step in started and now - last_line < _SECONDS_BETWEEN_LINES):
            return
        if step in started and done == total:
            return
        share = f" {100 * done // total} %" if step in started else ""
        click.echo(f"{texts[step]}{share}", err=True)
        started.add(step)
        last_line = now

    return report
