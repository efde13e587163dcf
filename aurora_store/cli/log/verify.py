"""``aurora-store log verify``: every checksum, and whether all of it fits together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_store.cli.log.common import (
    DAMAGE_FOUND,
    READING,
    damage_json,
    directory_argument,
    ranges,
    reading,
)
from aurora_store.cli.output import json_option, print_json, print_table, show_progress

if TYPE_CHECKING:
    from aurora_store.inspection.verification import Report

_TOO_NEW = 19


@click.command()
@directory_argument
@json_option
def verify(directory: Path, as_json: bool) -> None:
    """Check every checksum of the files and entries, and that the entries follow each other.

    Goes on after damage and reports all of it: where in which file, and which positions may be
    lost. An entry must be of the reign before it, or begin a newer one, and build on the version
    and the checksum before it.

    Positions that the replica lacks, or does not know to be agreed, are no damage: when it runs it
    asks the others for them. Nor is a write that a crash cut short, or that is under way.

    Exit codes: 3 damage was found, or entries of another application; 19 nothing is damaged, but
    there are entries of a newer release.

    \b
    Examples:
      aurora-store log verify /var/lib/scheduler/store
      aurora-store log verify COPY --json
    """
    from aurora_store.inspection.verification import verify as verify_replica
    from aurora_store.log.files import ReplicaDirectory

    replica = ReplicaDirectory.read(directory)
    with show_progress(READING) as progress:
        report = verify_replica(replica, progress=reading(progress))
    if as_json:
        print_json(_as_json(directory, report))
    else:
        _print(directory, report)
    if report.damaged:
        raise click.exceptions.Exit(DAMAGE_FOUND)
    if report.too_new.count:
        raise click.exceptions.Exit(_TOO_NEW)


def _as_json(directory: Path, report: Report) -> dict[str, Any]:
    state = report.state
    return {
        "ok": not report.damaged and not report.too_new.count,
        "directory": str(directory),
        "status": state.metadata.status.name.lower(),
        "promised": state.metadata.promised,
        "begin": state.begin,
        "end": state.end,
        "entries": report.entries,
        "bytes": report.bytes,
        "holes": [list(each) for each in state.holes],
        "unlearned": [list(each) for each in state.unlearned],
        "torn": None
        if report.torn is None
        else dict(zip(("file", "offset"), report.torn, strict=True)),
        "damages": [damage_json(damage) for damage in report.damages],
        "corrupt": report.corrupt.as_json(),
        "foreign": report.foreign.as_json(),
        "foreign_log": report.foreign_log,
        "too_new": report.too_new.as_json(),
        "order": report.order.as_json(),
    }


def _print(directory: Path, report: Report) -> None:
    state = report.state
    rows = [
        ("directory", str(directory)),
        ("replica", f"{state.metadata.status.name.lower()}, promised {state.metadata.promised}"),
        ("positions", "none" if state.end is None else f"{state.begin} to {state.end}"),
        ("entries checked", str(report.entries)),
        ("bytes checked", str(report.bytes)),
        ("holes", ranges(state.holes)),
        ("not agreed yet", ranges(state.unlearned)),
        ("damages of files", str(len(report.damages))),
        ("corrupt entries", str(report.corrupt.count)),
        ("entries of others", str(report.foreign.count)),
        ("entries of a newer release", str(report.too_new.count)),
        ("entries out of order", str(report.order.count)),
        ("result", _result(report)),
    ]
    if report.torn is not None:
        name, offset = report.torn
        rows.insert(-1, ("cut short", f"the last write in {name} at byte {offset}"))
    print_table(("", "value"), rows)
    for damage in report.damages:
        click.echo(f"Error: {damage}", err=True)
    for findings in (report.corrupt, report.foreign, report.too_new, report.order):
        if findings is report.foreign and report.foreign_log:
            continue
        for finding in findings.listed:
            click.echo(f"Error: {finding}", err=True)
        if findings.count > len(findings.listed):
            click.echo(f"Error: and {findings.count - len(findings.listed)} more", err=True)
    if report.foreign_log:
        first = report.foreign.listed[0]
        click.echo(
            f"Error: this is the log of another application: none of its {report.entries} entries"
            f" is aurora-store's; the first one is at {first}",
            err=True,
        )
    elif report.damaged:
        click.echo(
            "Try: with other replicas alive, stop this one and move its directory away: it rejoins"
            " them by itself",
            err=True,
        )


def _result(report: Report) -> str:
    if report.foreign_log:
        return "another application's log"
    if report.damaged:
        return "DAMAGED"
    return "needs a newer release" if report.too_new.count else "no damage"
