"""``aurora-store sql``: a query on the database as it was."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

import click

from aurora_store.cli.log.common import directory_argument
from aurora_store.cli.log.history import MOMENT, STEPS, open_source, replaying
from aurora_store.cli.output import json_option, print_json, print_table, show_progress
from aurora_store.cli.values import json_value, whole


@click.command()
@directory_argument
@click.option("--at", type=MOMENT, help="A position or a time. [default: the newest entry]")
@click.argument("query", metavar='"SELECT ..."')
@json_option
def sql(directory: Path, at: int | datetime | None, query: str, as_json: bool) -> None:
    """Run a query on the database in a replica's directory, as it is or as it was.

    The replica may run or not, and nothing is changed. A time needs its time zone and means the
    last entry that is not later, by the leaders' clocks. The database is built in memory.

    Exit codes: 2 the query is wrong, or would write; 20 that is before the history kept; 21 it is
    after the newest entry; 3 the log is damaged before it.

    \b
    Examples:
      aurora-store sql /var/lib/scheduler/store "SELECT count(*) FROM task"
      aurora-store sql COPY --at 2026-11-25T14:05:00Z "SELECT * FROM task" --json
    """
    from pysqlite3 import dbapi2

    from aurora_store.cli.query import interruptible
    from aurora_store.errors import NotLeader
    from aurora_store.history import replay_to

    with show_progress(STEPS) as progress:
        source = open_source(directory, progress)
        replay = replay_to(source, at, progress=replaying(progress))
    with replay, closing(replay.connect()) as connection:
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        connection.set_authorizer(_authorize)
        try:
            with interruptible(connection):
                cursor = connection.execute(query)
                rows = cursor.fetchall()
        except NotLeader as exc:
            raise click.UsageError("the past cannot be changed: this query would write") from exc
        except (dbapi2.Error, dbapi2.Warning) as exc:
            if getattr(exc, "sqlite_errorcode", 0) == dbapi2.SQLITE_AUTH:
                raise click.UsageError(
                    "the query would open another file (ATTACH, VACUUM): it may read this database"
                    " alone; aurora-store log replay writes it to a file"
                ) from exc
            raise click.UsageError(f"SQLite does not take the query: {exc}") from exc
        columns = [name for name, *_ in cursor.description or ()]
        if as_json:
            values = [[json_value(value) for value in row] for row in rows]
            print_json({"position": replay.info.position, "columns": columns, "rows": values})
        else:
            print_table(columns, [[whole(value) for value in row] for row in rows])


def _authorize(action: int, *_: object) -> int:
    """VACUUM attaches too: no statement reaches a file."""
    from pysqlite3 import dbapi2

    denied = action == dbapi2.SQLITE_ATTACH
    return int(dbapi2.SQLITE_DENY if denied else dbapi2.SQLITE_OK)
