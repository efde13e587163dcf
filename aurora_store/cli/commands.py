"""The command ``aurora-store`` with all of its subcommands."""

from __future__ import annotations

from importlib import metadata

import click

from aurora_store.cli.backup import backup
from aurora_store.cli.demo import demo
from aurora_store.cli.demo_framework import demo_framework
from aurora_store.cli.dev import dev
from aurora_store.cli.errors import RenderingGroup
from aurora_store.cli.lead import lead
from aurora_store.cli.libmesos import libmesos
from aurora_store.cli.log import log
from aurora_store.cli.recovery import recovery
from aurora_store.cli.schema import schema
from aurora_store.cli.snapshot import snapshot
from aurora_store.cli.sql import sql
from aurora_store.cli.status import status
from aurora_store.cli.truncate import truncate


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    try:
        version = metadata.version("aurora-store")
    except metadata.PackageNotFoundError:
        version = "unknown (not installed)"
    click.echo(f"aurora-store {version}")
    ctx.exit()


@click.group(cls=RenderingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """A SQL store whose transaction log is the Mesos replicated log.

    Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage,
    130 interrupted; each kind of error has one of its own, and a code you do not know is a failure.
    """


main.add_command(backup)
main.add_command(demo)
main.add_command(demo_framework)
main.add_command(dev)
main.add_command(lead)
main.add_command(libmesos)
main.add_command(log)
main.add_command(recovery)
main.add_command(schema)
main.add_command(snapshot)
main.add_command(sql)
main.add_command(status)
main.add_command(truncate)
