"""``aurora-store log show``: all that one entry says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_store.cli.log.common import POSITION, directory_argument
from aurora_store.cli.log.history import (
    CHANGE_HEADERS,
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

if TYPE_CHECKING:
    from aurora_store.differences import RowChange, SchemaChange
    from aurora_store.log.files import Action
    from aurora_store.record import ChangedPage, Record


@click.command()
@directory_argument
@click.argument("position", metavar="POSITION", type=POSITION)
@limit_option
@json_option
def show(directory: Path, position: int, limit: int, as_json: bool) -> None:
    """Show one entry: its header, the pages it changes, and the rows, before and after.

    The rows come from the two versions of the database, so the log is replayed up to there; if it
    cannot be, the header and the pages are shown, and the reason on stderr. An entry whose parts
    came before it shows the rows of the whole transaction.

    Exit codes: 3 the entry is damaged, or another application's; 19 it is a newer release's; 20 it
    was truncated; 21 there is nothing at that position.

    \b
    Examples:
      aurora-store log show /var/lib/scheduler/store 1234
      aurora-store log show COPY 1234 --limit 0 --json
    """
    from aurora_store.differences import between
    from aurora_store.errors import StoreError
    from aurora_store.log.files import Kind as ActionKind
    from aurora_store.log.files import ReplicaDirectory
    from aurora_store.record import Kind, changed_pages, read_record

    action = _action(ReplicaDirectory.read(directory), position)
    if action.kind is not ActionKind.APPEND:
        _print_action(action, as_json)
        return
    record = read_record(action.data, position=position)
    pages = changed_pages(action.data)
    answer: dict[str, Any] = {**_header(action, record), "pages": _pages(pages)}
    if not as_json:
        print_table(("field", "value"), [(k, str(v)) for k, v in _header(action, record).items()])
        if pages:
            print_table(
                ("page", "change", "bytes"),
                [(str(p.number), p.change.name.lower(), str(p.size)) for p in pages],
            )
    if record.kind is not Kind.BATCH:
        if as_json:
            print_json(answer)
        return
    schema: list[SchemaChange] = []
    rows: list[RowChange] = []
    more, missing = False, None
    with show_progress(STEPS) as progress:
        try:
            source = open_source(directory, progress)
            report = replaying(progress)
            with between(source, position - 1, position, progress=report) as versions:
                schema = versions.schema()
                rows, more = limited(versions.rows(), limit)
        except StoreError as exc:
            missing = exc.message
    if as_json:
        print_json({**answer, **changes_json(schema, rows), "more": more, "missing": missing})
    elif missing is None:
        print_table(CHANGE_HEADERS, change_rows(schema, rows))
    if missing is not None:
        click.echo(f"Note: the rows cannot be told: {missing}", err=True)
    elif more:
        tell_of_more()


def _action(replica: Any, position: int) -> Action:
    from aurora_store.errors import Corrupt, LogTruncated, NotYetInLog

    for action in replica.entries(position, position):
        return action  # type: ignore[no-any-return]
    if replica.damages:
        raise Corrupt(
            f"position {position} cannot be read in {replica.path}: {replica.damages[0]}",
            hint="the directory of another replica",
        )
    beginning = replica.state().begin
    if position < beginning:
        raise LogTruncated(
            f"position {position} is before the history kept: the log in {replica.path}"
            f" begins at position {beginning}"
        )
    raise NotYetInLog(
        f"there is nothing at position {position} in {replica.path}",
        hint=f"aurora-store log list {replica.path}",
    )


def _print_action(action: Action, as_json: bool) -> None:
    answer: dict[str, Any] = {
        "position": action.position,
        "kind": action.kind.value,
        "learned": action.learned,
    }
    if action.truncate_to is not None:
        answer["before"] = action.truncate_to
    if as_json:
        print_json(answer)
    else:
        print_table(("field", "value"), [(key, str(value)) for key, value in answer.items()])


def _header(action: Action, record: Record) -> dict[str, Any]:
    from aurora_store.record import Kind, leader_of

    header: dict[str, Any] = {
        "position": action.position,
        "kind": record.kind.label,
        "learned": action.learned,
        "bytes": len(action.data),
        "epoch": record.epoch,
        "first_version": record.first_version,
        "last_version": record.last_version,
        "transactions": record.transactions,
        "part": record.part,
        "page_count": record.page_count,
        "checksum_before": f"{record.checksum_before:016x}",
        "checksum_after": f"{record.checksum_after:016x}",
        "time": record.time.isoformat(),
        "snapshot": record.snapshot,
        "body_size": record.body_size,
        "compressed": record.compressed,
    }
    if record.kind is Kind.LEADER:
        leader = leader_of(action.data)
        header |= {
            "host": leader.host,
            "software": leader.software,
            "instance": leader.instance,
            "schema": leader.schema,
        }
    return header


def _pages(pages: list[ChangedPage]) -> list[dict[str, Any]]:
    return [
        {"page": page.number, "change": page.change.name.lower(), "bytes": page.size}
        for page in pages
    ]
