"""``aurora-store log replay``: the database of a position as an ordinary SQLite file."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import click

from aurora_store.cli.log.common import directory_argument
from aurora_store.cli.log.history import MOMENT, STEPS, open_source, replaying
from aurora_store.cli.output import json_option, print_json, print_table, show_progress


@click.command()
@directory_argument
@click.option("--to", "at", type=MOMENT, help="A position or a time. [default: the newest entry]")
@click.argument("out", metavar="OUT.db", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def replay(directory: Path, at: int | datetime | None, out: Path, as_json: bool) -> None:
    """Write the database as it was to OUT.db, an ordinary SQLite file for its owner alone.

    Every check of a replica is made on the way. The file is written beside OUT.db, brought to disk,
    and renamed; one that is there already is never overwritten. A time needs its time zone and
    means the last entry that is not later, by the leaders' clocks.

    Exit codes: 20 that is before the history kept; 21 it is after the newest entry; 3 the log is
    damaged before it.

    \b
    Examples:
      aurora-store log replay /var/lib/scheduler/store --to 1234 /tmp/then.db
      aurora-store log replay COPY --to 2026-11-25T14:05:00Z then.db --json
    """
    from aurora_store.history import replay_to
    from aurora_store.image import PAGE_BYTES
    from aurora_store.log.directory import log_directory_around

    if out.exists():
        raise click.BadParameter(f"{out} is there already: name another file", param_hint="OUT.db")
    around = log_directory_around(out)
    if around is not None:
        raise click.BadParameter(
            f"{out} is inside the log directory {around}, where nothing but its replica writes:"
            " name a file somewhere else",
            param_hint="OUT.db",
        )
    began = time.monotonic()
    with show_progress({**STEPS, "write": "Writing the file"}) as progress:
        source = open_source(directory, progress)
        with replay_to(source, at, progress=replaying(progress)) as replayed:
            replayed.write(out, progress=lambda done, total: progress("write", done, total))
            info = replayed.info
    answer = {
        "file": str(out),
        "position": info.position,
        "time": info.time.isoformat(),
        "epoch": info.epoch,
        "version": info.version,
        "bytes": info.page_count * PAGE_BYTES,
        "checksum": f"{info.checksum:016x}",
        "seconds": round(time.monotonic() - began, 3),
    }
    if as_json:
        print_json(answer)
    else:
        print_table(("replayed", "value"), [(key, str(value)) for key, value in answer.items()])
