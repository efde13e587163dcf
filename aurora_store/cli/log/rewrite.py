"""``aurora-store log rewrite``: a new log out of an old one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_store.cli.log.common import directory_argument
from aurora_store.cli.log.history import MOMENT, STEPS, open_source
from aurora_store.cli.output import json_option, print_json, print_table, show_progress
from aurora_store.cli.values import json_row, short

if TYPE_CHECKING:
    from aurora_store.rewrite import Rewritten


class RangeType(click.ParamType["tuple[int, int]"]):
    """A position, or two with two dots between them."""

    name = "A..B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Of click."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        first, _, last = value.partition("..")
        if not (first.isdigit() and (last or first).isdigit()):
            self.fail(f"{value!r} is no range of positions such as 120..125", param, ctx)
        return int(first), int(last or first)


@click.command()
@directory_argument
@click.argument("target", metavar="NEWDIR", type=click.Path(path_type=Path))
@click.option("--to", type=MOMENT, help="The last position, or a time. [default: all]")
@click.option("--without", type=RangeType(), help="Leave these positions out.")
@click.option(
    "--on-conflict",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What to do with a later change that does not fit without them.",
)
@json_option
def rewrite(
    directory: Path,
    target: Path,
    to: int | datetime | None,
    without: tuple[int, int] | None,
    on_conflict: str,
    as_json: bool,
) -> None:
    """Make a new log in NEWDIR out of the one in DIR, which is not touched.

    Up to a position, its entries are copied as they are. Without a range of positions, the database
    is what it was before the range, and each later entry is brought back as the changes it made to
    rows and to the schema: a row must be as that change found it. What was left out is printed.
    The new log is replayed before the command ends; if anything fails there is none.

    NEWDIR is the directory of one replica. To start an ensemble from it, copy it to every replica
    before any of them starts: see docs/log-tools.md.

    Exit codes: 1 a change does not fit; 2 NEWDIR is not empty, or inside a log directory; 3 the log
    in DIR is damaged.

    \b
    Examples:
      aurora-store log rewrite COPY NEW --to 2026-11-25T14:05:00Z
      aurora-store log rewrite COPY NEW --without 120..125 --on-conflict skip --json
    """
    from aurora_store.rewrite import rewrite as rewrite_log

    with show_progress({**STEPS, "rewrite": "Rewriting"}) as progress:
        source = open_source(directory, progress)
        result = rewrite_log(
            source,
            target,
            to=to,
            without=without,
            skip_conflicts=on_conflict == "skip",
            progress=lambda done, total: progress("rewrite", done, total),
        )
    if as_json:
        print_json(_as_json(result))
    else:
        _print(result)


def _as_json(result: Rewritten) -> dict[str, Any]:
    return {
        "directory": str(result.target),
        "to": result.to,
        "copied": result.copied,
        "applied": result.applied,
        "left_out": {"transactions": result.transactions, "rows": dict(result.left_out)},
        "conflicts": [
            {
                "position": position,
                "what": conflict.what,
                "table": conflict.change and conflict.change.table,
                "key": conflict.change and json_row(conflict.change.key),
                "before": conflict.change and json_row(conflict.change.before),
                "after": conflict.change and json_row(conflict.change.after),
            }
            for position, conflict in result.conflicts
        ],
        "version": result.version,
        "page_count": result.page_count,
        "checksum": f"{result.checksum:016x}",
    }


def _print(result: Rewritten) -> None:
    rows = [
        ("directory", str(result.target)),
        ("up to position", str(result.to)),
        ("entries copied", str(result.copied)),
        ("entries brought back", str(result.applied)),
        ("transactions left out", str(result.transactions)),
        *((f"left out of {name}", str(count)) for name, count in sorted(result.left_out.items())),
        ("conflicts skipped", str(len(result.conflicts))),
        ("version", str(result.version)),
        ("checksum", f"{result.checksum:016x}"),
    ]
    print_table(("rewritten", "value"), rows)
    for position, conflict in result.conflicts:
        change = conflict.change
        where = ""
        if change is not None:
            key = ", ".join(f"{name}={short(value)}" for name, value in change.key.items())
            where = f": {change.kind} of {change.table} {key}"
        click.echo(f"Skipped: position {position}{where}: {conflict.what}", err=True)
