"""``aurora-store schema``: the migrations of a database, undone and applied again."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_store.cli.backup import directory_option
from aurora_store.cli.log.common import directory_argument
from aurora_store.cli.log.history import STEPS, open_source, replaying
from aurora_store.cli.output import json_option, print_json, print_table, show_progress
from aurora_store.errors import StoreError, StoreNotRunning

if TYPE_CHECKING:
    from aurora_store.migrations import Entry

_lead_option = click.option(
    "--lead", is_flag=True, help="Become the leader for it, where nobody leads."
)


@click.group()
def schema() -> None:
    """Show what was done to a database's schema, undo it, and have it applied again.

    The leader applies the revisions that its software knows by itself, before it serves
    (docs/model.md). For the steps of an upgrade and a rollback see docs/operations.md.
    """


@schema.command()
@directory_argument
@json_option
def show(directory: Path, as_json: bool) -> None:
    """Show the journal of the database in a replica's directory, and what is applied now.

    The replica may run or not, and nothing is changed. Where a store runs there, it says how its
    software stands to the database.

    Exit codes: 3 the log is damaged; 11 no log is there; 19 a newer release wrote it.

    \b
    Examples:
      aurora-store schema show /var/lib/scheduler/log
      aurora-store schema show COPY --json
    """
    from aurora_store.history import replay_to
    from aurora_store.migrations import journal

    with show_progress(STEPS) as progress:
        source = open_source(directory, progress)
        replay = replay_to(source, None, progress=replaying(progress))
    with replay, closing(replay.connect()) as connection:
        found = journal.read(connection.execute)
        position = replay.info.position
    running = _standing(directory)
    if as_json:
        print_json(
            {
                "position": position,
                "journal": [_json(each) for each in found.entries],
                "applied": list(found.applied),
                "undone": list(found.reverted),
                "store": running,
            }
        )
        return
    print_table(
        (
            "number",
            "action",
            "revision",
            "message",
            "compatible",
            "can be undone",
            "software",
            "host",
            "time",
        ),
        [_row(each) for each in found.entries],
        whole=("number", "action", "revision"),
    )
    properties = [
        ("applied", ", ".join(found.applied) or "nothing"),
        ("undone", ", ".join(found.reverted) or "nothing"),
    ]
    if running is not None:
        reason = f": {running['reason']}" if running["reason"] else ""
        properties += [
            ("software here", running["software"]),
            ("its newest revisions", ", ".join(running["heads"])),
            ("how it stands", running["standing"] + reason),
        ]
    print_table(("property", "value"), properties)


@schema.command()
@directory_option
@click.argument("revision")
@_lead_option
@click.option("--yes", is_flag=True, help="Do not ask on a terminal; needed elsewhere.")
@json_option
def downgrade(directory: Path, revision: str, lead: bool, yes: bool, as_json: bool) -> None:
    """Undo all that builds upon REVISION, in one transaction, as the leader.

    REVISION itself stays; with REVISION@base nothing of its branch does.

    With the SQL that the database has, so the software need not know what it undoes. What was
    undone is not applied again before "schema upgrade". A leader whose software needs it steps
    down; so does one that became the leader by --lead, if there is an election.

    Exit codes: 13 this replica does not lead, the message says who does; 38 there is nothing to
    undo, or it cannot be undone, and nothing was changed; 15 see with "schema show" whether the
    next leader has it; 28 no store runs there.

    \b
    Examples:
      aurora-store schema downgrade model_0001 --directory /var/lib/scheduler/log
      aurora-store schema downgrade model_0001 --lead --yes --directory /var/lib/scheduler/log
    """
    from aurora_store.control import ask

    where = {"to": revision, "lead": lead}
    plan = ask(directory, "schema plan", where)["undo"]
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise click.UsageError("rows that the old schema cannot hold are lost: say --yes")
        _print_steps(plan)
        click.confirm("Undo these?", abort=True, err=True)
    expected = [each["revision"] for each in plan]
    done = ask(directory, "schema downgrade", {**where, "undo": expected})
    if as_json:
        print_json(done)
    else:
        _print_steps(done["undone"])


@schema.command()
@directory_option
@_lead_option
@json_option
def upgrade(directory: Path, lead: bool, as_json: bool) -> None:
    """Have what was undone applied again, as the leader.

    It is released, and applied at once if this replica's software knows it; otherwise once a
    replica leads whose software does.

    Exit codes: 13 this replica does not lead, the message says who does; 38 a revision failed: it
    stays released, and this replica leads no more; 28 no store runs there.

    \b
    Examples:
      aurora-store schema upgrade --directory /var/lib/scheduler/log
      aurora-store schema upgrade --lead --directory /var/lib/scheduler/log
    """
    from aurora_store.control import ask

    done = ask(directory, "schema upgrade", {"lead": lead})
    if as_json:
        print_json(done)
        return
    rows = [(did, each["revision"]) for did in ("released", "applied") for each in done[did]]
    print_table(("step", "revision"), rows)
    if not rows:
        click.echo("nothing was undone before, and nothing is lacking", err=True)
    elif not done["applied"]:
        click.echo("it is applied once a replica leads whose software knows it", err=True)


def _standing(directory: Path) -> dict[str, Any] | None:
    """What a store says that runs there, and has a schema."""
    from aurora_store.control import ask

    try:
        return ask(directory, "schema standing")
    except StoreNotRunning:
        return None
    except StoreError as exc:
        click.echo(f"Note: the store there does not tell its standing: {exc.message}", err=True)
        return None


def _json(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "action": entry.action,
        "revision": entry.revision,
        "message": entry.message,
        "after": list(entry.after),
        "needs": list(entry.needs),
        "compatible": entry.compatible,
        "can_be_undone": entry.downgrade is not None if entry.action == "upgrade" else None,
        "software": entry.software,
        "host": entry.host,
        "time": entry.time.isoformat(),
    }


def _row(entry: Entry) -> tuple[str, ...]:
    undone = {True: "yes", False: "no", None: ""}[_json(entry)["can_be_undone"]]
    return (
        str(entry.number),
        entry.action,
        entry.revision,
        entry.message,
        "yes" if entry.compatible else "no",
        undone,
        entry.software,
        entry.host,
        f"{entry.time:%Y-%m-%d %H:%M:%S}",
    )


def _print_steps(steps: list[dict[str, Any]]) -> None:
    print_table(
        ("revision", "message", "applied by"),
        [(each["revision"], each["message"], each["software"]) for each in steps],
    )
