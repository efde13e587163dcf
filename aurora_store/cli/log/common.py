"""What the commands of ``aurora-store log`` share."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aurora_store.cli.output import Progress, print_table

if TYPE_CHECKING:
    from aurora_store.inspection.listing import Row
    from aurora_store.log.files import Damage, ReplicaDirectory

directory_argument = click.argument(
    "directory",
    metavar="DIR",
    # That it cannot be read is no wrong usage: the reader says it, with an exit code of its own.
    type=click.Path(path_type=Path, readable=False),
)
"""The directory of a replica; it arrives as ``directory``."""

DAMAGE_FOUND = 3
"""The exit code of a command that came across damage, and went on."""

READING = {"read": "Reading the log"}
"""The step that `reading` reports."""

HEADERS = (
    "position",
    "kind",
    "epoch",
    "versions",
    "transactions",
    "pages",
    "bytes",
    "time",
    "",
)
"""Of a table with a row for each position."""

_NARROW = ("position", "kind", "bytes", "time", "")
_WIDE_ENOUGH = 120  # columns of a terminal


class PositionType(click.ParamType):  # type: ignore[type-arg]  # generic in new click only
    """A position of the log, with or without leading zeros."""

    name = "position"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Of click."""
        from aurora_store.log import Position

        try:
            return int(Position.parse(str(value)))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


POSITION = PositionType()


def reading(progress: Progress) -> Callable[[int, int], None]:
    """Reports how much of the files was read as the step of `READING`."""
    return lambda done, total: progress("read", done, total)


def cells(row: Row) -> tuple[str, ...]:
    """A row under `HEADERS`."""
    record = row.record
    note = row.note if row.learned else f"not agreed yet{'; ' if row.note else ''}{row.note}"
    if row.kind == "missing":
        note = row.note
    if record is None:
        return (str(row.position), row.kind, "", "", "", "", str(row.bytes), "", note)
    versions = f"{record.first_version}"
    if record.last_version != record.first_version:
        versions += f"-{record.last_version}"
    return (
        str(row.position),
        row.kind,
        str(record.epoch),
        versions,
        str(record.transactions) if record.transactions else "",
        "" if row.pages is None else str(row.pages),
        str(row.bytes),
        record.time.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        note,
    )


def print_rows(rows: Iterable[Row]) -> None:
    """Rows under `HEADERS`; a terminal that is too narrow shows some of the columns."""
    headers: tuple[str, ...] = HEADERS
    if sys.stdout.isatty() and shutil.get_terminal_size().columns < _WIDE_ENOUGH:
        headers = _NARROW
    shown = [HEADERS.index(header) for header in headers]
    table = (tuple(each[column] for column in shown) for each in map(cells, rows))
    print_table(headers, table, whole=headers[:-1])


def ranges(found: Iterable[tuple[int, int]]) -> str:
    """Runs of positions for people."""
    texts = [f"{first}" if first == last else f"{first}-{last}" for first, last in found]
    if len(texts) > 10:
        return f"{', '.join(texts[:10])} and {len(texts) - 10} more runs"
    return ", ".join(texts) or "none"


def warn_of_damage(replica: ReplicaDirectory) -> bool:
    """Says on stderr that what was printed is not all there is; returns whether it is so."""
    if replica.damages:
        click.echo(
            f"Warning: {len(replica.damages)} damages were passed over; the first one is"
            f" {replica.damages[0]}; see all of them with: aurora-store log verify"
            f" {replica.path}",
            err=True,
        )
    return bool(replica.damages)


def damage_json(damage: Damage) -> dict[str, object]:
    """For machines."""
    return {
        "file": damage.file or None,
        "offset": damage.offset,
        "what": damage.what,
        "positions": None if damage.positions is None else list(damage.positions),
    }
