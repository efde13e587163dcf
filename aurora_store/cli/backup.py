"""``aurora-store backup``: make one on a running store, look at those there are, prove one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_store.cli.output import json_option, print_json, print_table, show_progress
from aurora_store.errors import Corrupt

if TYPE_CHECKING:
    from aurora_store.backup import Backup

directory_option = click.option(
    "--directory",
    required=True,
    envvar="AURORA_STORE_DIRECTORY",
    type=click.Path(path_type=Path),
    help="Log directory of a replica on this machine.",
)
"""The ``--directory`` option of commands that speak to a running store."""

_STEPS = {
    "backup": "Copying the database",
    "file": "Checking the file",
    "unpack": "Unpacking",
    "database": "Checking the database's pages",
    "integrity": "SQLite checks the database",
}


@click.group()
def backup() -> None:
    """Make backups of a running store, and prove them.

    A backup is an ordinary SQLite file, of one position of the log, with FILE.json beside it. To
    restore one see aurora-store recovery.
    """


@backup.command()
@click.argument("target", type=click.Path(path_type=Path))
@directory_option
@click.option("--compress", is_flag=True, help="With zstd, if TARGET is a directory.")
@json_option
def now(target: Path, directory: Path, compress: bool, as_json: bool) -> None:
    """Make a backup of the store that runs on a log directory of this machine.

    Leader or standby: neither stops. TARGET is a file, or a directory in which it gets a name that
    sorts by time. A file is compressed if its name ends in .zst; in a directory --compress says so.
    It replaces a backup of the same name, and nothing else.

    Exit codes: 2 --compress with a file of another name; 28 no store runs there; 29 the backup
    cannot be written, or would replace what is no backup.

    \b
    Examples:
      aurora-store backup now /backup --directory /var/lib/scheduler/log --compress
      aurora-store backup now before-upgrade.db --directory /var/lib/scheduler/log
    """
    from aurora_store.control import ask

    if compress and not target.name.endswith(".zst") and not target.is_dir():
        raise click.UsageError(
            f"--compress is for a file whose name ends in .zst, or a directory, and {target} is"
            " neither"
        )
    with show_progress(_STEPS) as progress:
        arguments = {"path": str(target.absolute()), "compress": compress}
        made = ask(directory, "backup", arguments, progress=progress)
    _print(made, as_json)


@backup.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def verify(file: Path, as_json: bool) -> None:
    """Prove a backup: checksum of the file, checksum of the database, SQLite's integrity_check.

    Needs no store. A compressed one is unpacked into TMPDIR for the time being.

    Exit codes: 3 it is damaged, and what is printed says how; 19 a newer release made it; 29 it is
    not there or cannot be read.

    \b
    Example:
      aurora-store backup verify /backup/backup-20261125T004512Z-p0000012345.db.zst
    """
    from aurora_store.backup import verify as prove

    with show_progress(_STEPS) as progress:
        found, checks = prove(file, progress=progress)
    damaged = [check for check in checks if check.problem]
    if as_json:
        problems = {check.name: check.problem or None for check in checks}
        print_json({**found.as_json(), "ok": not damaged, "checks": problems})
    else:
        rows = [(check.name, check.problem or "ok") for check in checks]
        print_table(("check", "result"), rows)
    if damaged:
        names = ", ".join(check.name for check in damaged)
        raise Corrupt(f"the backup {file} is damaged: {names}", hint="use another backup")


@backup.command(name="list")
@click.argument("directory", type=click.Path(path_type=Path))
@json_option
def list_(directory: Path, as_json: bool) -> None:
    """List the backups in a directory, oldest first.

    Whatever has a backup's FILE.json beside it is listed. One of another size than that says is
    incomplete, and so is one of a schedule's naming without it; whether one is whole to the last
    byte is for aurora-store backup verify to say.

    Exit codes: 29 the directory cannot be read.

    \b
    Example:
      aurora-store backup list /backup
    """
    from aurora_store.backup import Backup, list_backups

    entries = list_backups(directory)
    if as_json:
        documents = [
            {**found.as_json(), "complete": True}
            if isinstance(found, Backup)
            else {"path": str(path), "complete": False, "problem": found.message}
            for path, found in entries
        ]
        print_json({"backups": documents})
        return
    rows = [
        _row(found) if isinstance(found, Backup) else (path.name, "", "", "", "", found.message)
        for path, found in entries
    ]
    print_table(("backup", "position", "time", "schema", "bytes", "problem"), rows)


def _row(found: Backup) -> tuple[str, ...]:
    schema = found.alembic_version or str(found.user_version)
    return found.path.name, str(found.position), found.time, schema, str(found.size), ""


def _print(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        keys = ("path", "position", "time", "epoch", "version", "size", "checksum")
        print_table(("backup", "value"), [(key, str(made[key])) for key in keys])
