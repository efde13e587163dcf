"""``aurora-store log``: looking into the log, in the directory of one replica or a copy of it."""

from __future__ import annotations

import click

from aurora_store.cli.log.diff import diff
from aurora_store.cli.log.list import list_entries
from aurora_store.cli.log.replay import replay
from aurora_store.cli.log.rewrite import rewrite
from aurora_store.cli.log.show import show
from aurora_store.cli.log.stat import stat
from aurora_store.cli.log.tail import tail
from aurora_store.cli.log.verify import verify


@click.group()
def log() -> None:
    """Look into the log, in a replica's directory or a copy of it.

    The replica may run or not, and nothing in its directory is touched. Exit codes: 11 the
    directory cannot be read, or is that of no log; 3 damage was found.
    """


log.add_command(diff)
log.add_command(list_entries)
log.add_command(replay)
log.add_command(rewrite)
log.add_command(show)
log.add_command(stat)
log.add_command(tail)
log.add_command(verify)
