"""What the commands share that show the database as it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_store.cli.output import Progress
from aurora_store.cli.values import json_row, short

if TYPE_CHECKING:
    from aurora_store.differences import RowChange, SchemaChange
    from aurora_store.sources import DirectorySource

STEPS = {"look": "Looking through the log", "replay": "Replaying"}
"""What `open_source` and `replaying` report."""

CHANGE_HEADERS = ("table", "change", "key", "columns")


class MomentType(click.ParamType["int | datetime"]):
    """A position of the log, or a time with its time zone."""

    name = "position|time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | datetime:
        """Of click."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        if value.isdigit():
            from aurora_store.log import Position

            try:
                return Position.parse(value)
            except ValueError as exc:
                self.fail(str(exc), param, ctx)
        try:
            # Python 3.10 knows no Z.
            time = datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
        except ValueError:
            self.fail(
                f"{value!r} is no position and no time such as 2026-11-25T14:05:00Z", param, ctx
            )
        if time.tzinfo is None:
            self.fail(f"say the time zone: {value}Z for UTC, or {value}+01:00", param, ctx)
        return time


MOMENT = MomentType()


def open_source(directory: Path, progress: Progress) -> DirectorySource:
    """The log in a replica's directory; says on stderr what of it does not count."""
    from aurora_store.sources import DirectorySource

    source = DirectorySource(directory, progress=lambda done, total: progress("look", done, total))
    if source.unlearned:
        click.echo(
            f"Note: the log is read up to position {source.ending}: whether the values up to"
            f" {source.unlearned[-1]} are agreed is not known to this replica",
            err=True,
        )
    return source


def replaying(progress: Progress) -> Any:
    """Reports positions as the step of a replay."""
    return lambda done, total: progress("replay", done, total)


def change_rows(
    schema: list[SchemaChange], rows: list[RowChange]
) -> Iterator[tuple[str, str, str, str]]:
    """Changes under `CHANGE_HEADERS`."""
    for change in schema:
        kind = "create" if change.before is None else "drop" if change.after is None else "alter"
        text = change.after if change.after is not None else change.before
        yield f"{change.type} {change.name}", kind, "", " ".join((text or "").split())
    for row in rows:
        key = ", ".join(f"{name}={short(value)}" for name, value in row.key.items())
        yield row.table, row.kind, key, _columns(row)


def _columns(row: RowChange) -> str:
    old, new = row.before or {}, row.after or {}
    if row.before is None or row.after is None:
        return ", ".join(f"{name}: {short(value)}" for name, value in {**old, **new}.items())
    return ", ".join(
        f"{name}: {short(old.get(name))} -> {short(new.get(name))}"
        for name in {**old, **new}
        if (type(old.get(name)), old.get(name)) != (type(new.get(name)), new.get(name))
    )


def changes_json(schema: list[SchemaChange], rows: list[RowChange]) -> dict[str, Any]:
    """Changes for machines."""
    return {
        "schema": [
            {"type": each.type, "name": each.name, "before": each.before, "after": each.after}
            for each in schema
        ],
        "rows": [
            {
                "table": row.table,
                "change": row.kind,
                "key": json_row(row.key),
                "before": json_row(row.before),
                "after": json_row(row.after),
            }
            for row in rows
        ],
    }


limit_option = click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Stop after so many changed rows; 0: show all.",
)


def limited(rows: Iterator[RowChange], limit: int) -> tuple[list[RowChange], bool]:
    """The first rows, and whether there are more."""
    shown: list[RowChange] = []
    for row in rows:
        if limit and len(shown) == limit:
            return shown, True
        shown.append(row)
    return shown, False


def tell_of_more() -> None:
    """Says on stderr that there are more changes."""
    click.echo("There are more changed rows: --limit 0 shows all", err=True)
