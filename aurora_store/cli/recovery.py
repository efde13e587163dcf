"""``aurora-store recovery``: stage an earlier state, look, change, compare, and commit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_store.cli.backup import directory_option
from aurora_store.cli.errors import Interrupted
from aurora_store.cli.output import Progress, json_option, print_json, print_table, show_progress
from aurora_store.cli.values import short, whole
from aurora_store.errors import (
    LogUnavailable,
    NotYetInLog,
    RecoveryRefused,
    StoreError,
    StoreNotRunning,
)

if TYPE_CHECKING:
    from aurora_store.recovery import Staged, Staging, TableDifference

_NEXT = "copy the directory to every other replica before any of them starts"

_STEPS = {
    "file": "Checking the file",
    "unpack": "Unpacking",
    "database": "Checking the database's pages",
    "integrity": "SQLite checks the database",
    "scan": "Looking through the log directory",
    "replay": "Replaying the log",
    "write": "Writing the copy",
    "backup": "Copying the live database",
    "restore": "Replacing the live database",
    "snapshot": "Taking a snapshot of it",
}


@click.group()
def recovery() -> None:
    """Go back to an earlier state: stage it, look, change, compare, commit.

    One copy at a time is staged for a log directory, in the folder LOG.recovery beside it. Nothing
    is live before "commit", and what was live is kept as a backup beside it.
    """


@recovery.command()
@click.argument("source", metavar="FILE|DIR|POSITION|TIME")
@directory_option
@json_option
def stage(source: str, directory: Path, as_json: bool) -> None:
    """Stage a backup, any SQLite file, or what a log directory has.

    A backup is proved first. DIR is another replica's log directory, of which the newest state is
    staged. A position or time is looked up in this one. The stores of both may be running or not. A
    time has a time zone, and stands for the last entry that is not later.

    Exit codes: 3 the file or the log is damaged; 11 no log is there; 20 the log does not reach back
    that far; 21 it is not there yet; 24 something is staged already; 29 the file cannot be read.

    \b
    Examples:
      aurora-store recovery stage /backup/before-upgrade.db --directory /var/lib/scheduler/log
      aurora-store recovery stage 12345 --directory /var/lib/scheduler/log
      aurora-store recovery stage 2026-11-24T14:05Z --directory /var/lib/scheduler/log
      aurora-store recovery stage /mnt/rescued/log --directory /var/lib/scheduler/log
    """
    from aurora_store.recovery import Staging, write_state

    staging = Staging(directory)
    at = None if Path(source).exists() else _moment(source)
    with _files(), show_progress(_STEPS) as progress:
        if Path(source).is_dir():
            staged = staging.stage_state(
                lambda to: write_state(Path(source), to, at=None, progress=progress),
                source=f"the newest state of the log in {source}",
            )
        elif at is not None:
            staged = staging.stage_state(
                lambda to: write_state(directory, to, at=at, progress=progress),
                source=f"{source} in the log in {directory}",
            )
        else:
            staged = staging.stage_file(source, progress=progress)
    _print_staged(staged, as_json)


@recovery.command()
@directory_option
@json_option
def status(directory: Path, as_json: bool) -> None:
    """Show what is staged.

    \b
    Example:
      aurora-store recovery status --directory /var/lib/scheduler/log
    """
    from aurora_store.recovery import Staging

    with _files():
        staged = Staging(directory).status()
    if staged is not None:
        _print_staged(staged, as_json)
    elif as_json:
        print_json({"staged": None})
    else:
        click.echo("nothing is staged", err=True)


@recovery.command()
@click.argument("statement", metavar="SQL")
@directory_option
@json_option
def sql(statement: str, directory: Path, as_json: bool) -> None:
    """Run one SQL statement on the staged copy, and print what it returns.

    It may change the copy: what is live it does not touch.

    Exit codes: 1 SQLite refuses it; 24 nothing is staged.

    \b
    Examples:
      aurora-store recovery sql "SELECT count(*) FROM task" --directory /var/lib/scheduler/log
      aurora-store recovery sql "DELETE FROM task WHERE status = 'LOST'" --directory log
    """
    from pysqlite3 import dbapi2

    from aurora_store.cli.query import interruptible
    from aurora_store.recovery import Staging

    path = Staging(directory).staged().path
    try:
        with (
            closing(dbapi2.connect(path, isolation_level=None)) as connection,
            interruptible(connection),
        ):
            cursor = connection.execute(statement)
            rows = cursor.fetchall()
            columns = [column[0] for column in cursor.description or ()]
            changed = max(cursor.rowcount, 0)
    except dbapi2.Error as exc:
        raise StoreError(f"the staged copy refuses the statement: {exc}") from exc
    if as_json:
        table = [[_plain(value) for value in row] for row in rows]
        print_json({"columns": columns, "rows": table, "changed": changed})
    elif columns:
        print_table(columns, [[whole(value) for value in row] for row in rows])
    else:
        click.echo(f"{changed} rows changed", err=True)


@recovery.command()
@directory_option
@click.option("--examples", type=click.IntRange(min=0), default=3, show_default=True, help="Rows.")
@json_option
def diff(directory: Path, examples: int, as_json: bool) -> None:
    """Show what would become of the live database if the staged copy took its place.

    "lost" are rows that only the live one has, "gained" those that only the copy has. Live is what
    the running store of that directory has; without one, the newest state in the directory. Of
    long values the beginning is shown; --json has all of them.

    Exit codes: 24 nothing is staged.

    \b
    Example:
      aurora-store recovery diff --directory /var/lib/scheduler/log
    """
    from aurora_store.recovery import Staging

    staging = Staging(directory)
    with _files(), show_progress(_STEPS) as progress:
        differences, position = _differences(staging, examples, progress)
    if as_json:
        print_json({"live_position": position, "tables": [_json(each) for each in differences]})
    else:
        _print_differences(differences)
        for each in differences:
            for kind, before, after in each.examples:
                click.echo(f"{each.table}: {kind}: {_row(before)}{_row(after, ' -> ')}")


@recovery.command()
@directory_option
@click.option("--force", is_flag=True, help="Also if the target is not empty.")
@json_option
def commit(directory: Path, force: bool, as_json: bool) -> None:
    """Make the staged copy the live database; what will be lost is shown first.

    While a store runs on the directory, this goes through it, and it must lead: one transaction
    replaces the database, and a new reign begins. What was there is kept beside the directory, as
    the backup LOG.before-TIME.db: stage that to go back. It also stays in the log, until that is
    truncated.

    With everything down it makes a new log of one replica in the directory; a log that is there is
    moved aside. Then copy the directory to every other replica, before any of them starts.

    Without --force a target that is not empty is left alone: what would be lost is all that
    happens. Ctrl-C says what has become of it.

    Exit codes: 12 a store that cannot be controlled has the directory open; 13 the store does not
    lead, and the message names the leader; 15 see whether the next leader has it; 24 nothing is
    staged, or the target is not empty; 37 the store's software could not lead with the copy,
    whatever --force says, or 38 cannot migrate it: nothing was changed.

    \b
    Examples:
      aurora-store recovery commit --directory /var/lib/scheduler/log
      aurora-store recovery commit --directory /var/lib/scheduler/log --force
    """
    from aurora_store.recovery import Staging

    staging = Staging(directory)
    staged = staging.staged()
    with _files(), show_progress(_STEPS) as progress:
        with _interrupt_tells(lambda: _unchanged(staging)):
            differences, position = _differences(staging, 0, progress)
        if not as_json:
            _print_differences(differences)
        lost = sum(each.lost + each.changed for each in differences)
        if lost and not force:
            raise RecoveryRefused(
                f"{lost} rows of the live database, at position {position}, would be lost or"
                " changed",
                hint="see aurora-store recovery diff; aurora-store recovery commit --force does it",
            )
        answer = _commit(staging, staged, force, progress)
    answer["tables"] = [_json(each) for each in differences]
    if as_json:
        print_json(answer)
    else:
        rows = [(key, str(value)) for key, value in answer.items() if key != "tables"]
        print_table(("commit", "value"), rows)


@recovery.command()
@directory_option
@json_option
def unload(directory: Path, as_json: bool) -> None:
    """Drop the staged copy.

    \b
    Example:
      aurora-store recovery unload --directory /var/lib/scheduler/log
    """
    from aurora_store.recovery import Staging

    with _files():
        dropped = Staging(directory).unload()
    if as_json:
        print_json({"unloaded": dropped})
    else:
        click.echo("dropped" if dropped else "nothing was staged", err=True)


def _moment(text: str) -> int | datetime | None:
    """A position or a time; ``None`` for what is neither."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        time = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    except ValueError:
        return None
    if time.tzinfo is None:
        raise click.BadParameter(f"say the time zone of {text}: {text}Z is UTC")
    return time


@contextmanager
def _files() -> Iterator[None]:
    """What the file system refuses, as one text."""
    try:
        yield
    except OSError as exc:
        where = f" {exc.filename}" if exc.filename else ""
        raise StoreError(
            f"a file of the recovery cannot be used{where}: {exc.strerror or exc}",
            hint=None
            if isinstance(exc, FileNotFoundError)
            else "see that the folder beside the log directory is writable, and has room",
        ) from exc


def _differences(
    staging: Staging, examples: int, progress: Progress
) -> tuple[list[TableDifference], int]:
    """The staged copy against what is live, and the position of that."""
    from aurora_store.control import ask
    from aurora_store.recovery import compare, write_state

    staged = staging.staged()
    live = staging.folder / "live.db"
    try:
        try:
            backup = ask(staging.log_directory, "backup", {"path": str(live)}, progress=progress)
            position = int(backup["position"])
        except StoreNotRunning:
            try:
                position, _ = write_state(staging.log_directory, live, at=None, progress=progress)
            except NotYetInLog:  # a log without an entry
                return compare(None, staged.path, examples=examples), 0
            except LogUnavailable:
                if _holds_something(staging.log_directory):
                    raise
                return compare(None, staged.path, examples=examples), 0
        return compare(live, staged.path, examples=examples), position
    finally:
        for path in (live, live.with_name("live.db.json")):
            path.unlink(missing_ok=True)


def _holds_something(directory: Path) -> bool:
    return directory.exists() and any(directory.iterdir())


def _commit(staging: Staging, staged: Staged, force: bool, progress: Progress) -> dict[str, Any]:
    from aurora_store.control import ask

    with _interrupt_tells(lambda: _unchanged(staging)):
        try:
            ask(staging.log_directory, "status")
        except StoreNotRunning:
            running = False
        else:
            running = True
    if not running:
        return _commit_offline(staging, staged, force, progress)
    with _interrupt_tells(
        lambda: Interrupted(
            "the running store was asked for it, and it may be in the log",
            hint=f"aurora-store recovery diff --directory {staging.log_directory}, which shows no"
            " table once it is done",
        )
    ):
        arguments = {"path": str(staged.path), "force": force}
        return ask(staging.log_directory, "recovery commit", arguments, progress=progress)


def _commit_offline(
    staging: Staging, staged: Staged, force: bool, progress: Progress
) -> dict[str, Any]:
    from aurora_store.recovery import commit_offline

    directory = staging.log_directory
    before = _identity(directory)

    def what_became() -> Interrupted:
        if _identity(directory) == before:
            return _unchanged(staging)
        old = "" if before is None else f", and what was there in {directory}.before-TIME"
        return Interrupted(f"it is done: the new log is in {directory}{old}", hint=_NEXT)

    with _interrupt_tells(what_became):
        position, aside = commit_offline(directory, staged.path, force=force, progress=progress)
    return {
        "position": position,
        "directory": str(directory),
        "moved_aside": None if aside is None else str(aside),
        "next": _NEXT,
    }


def _identity(directory: Path) -> int | None:
    """Another one once a directory of that name is another one; ``None`` if there is none."""
    return directory.stat().st_ino if directory.exists() else None


def _unchanged(staging: Staging) -> Interrupted:
    return Interrupted(
        f"nothing was changed in {staging.log_directory}",
        hint=f"aurora-store recovery commit --directory {staging.log_directory} begins anew",
    )


@contextmanager
def _interrupt_tells(what_became: Callable[[], Interrupted]) -> Iterator[None]:
    """Ctrl-C in the block says what has become of the commit."""
    try:
        yield
    except KeyboardInterrupt as exc:
        raise what_became() from exc


def _print_staged(staged: Staged, as_json: bool) -> None:
    if as_json:
        print_json({"staged": staged.as_json()})
        return
    rows = [(key, "" if value is None else str(value)) for key, value in staged.as_json().items()]
    print_table(("staged", "value"), rows)


def _print_differences(differences: list[TableDifference]) -> None:
    rows = [
        (each.table, str(each.lost), str(each.changed), str(each.gained), each.schema)
        for each in differences
    ]
    print_table(("table", "lost", "changed", "gained", "table itself"), rows)


def _json(difference: TableDifference) -> dict[str, Any]:
    return {
        "table": difference.table,
        "lost": difference.lost,
        "changed": difference.changed,
        "gained": difference.gained,
        "schema": difference.schema or None,
        "examples": [
            {"kind": kind, "live": _plain_row(live), "staged": _plain_row(staged)}
            for kind, live, staged in difference.examples
        ],
    }


def _plain_row(row: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """JSON has no bytes: hexadecimal, as SQLite writes them."""
    return f"x'{value.hex()}'" if isinstance(value, bytes) else value


def _row(row: dict[str, Any] | None, before: str = "") -> str:
    if row is None:
        return ""
    return before + ", ".join(f"{name}={short(value)}" for name, value in row.items())
