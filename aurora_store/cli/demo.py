"""``aurora-store demo``: a leader is killed under load, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aurora_store.cli.output import json_option, print_checked, print_table, show_progress


@click.command()
@click.option(
    "--trace",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with nodes.csv and pods.csv of a cluster; without it a trace is generated.",
)
@click.option("--tasks", type=click.IntRange(min=1), help="Replay so many tasks. [generated: 2000]")
@click.option(
    "--writers", type=click.IntRange(1, 64), default=4, show_default=True, help="Writer threads."
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the replicas' data in this folder, which must be empty.",
)
@click.option(
    "--kill-at",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Kill the leader when this share of the events is acknowledged.",
)
@json_option
def demo(
    trace: Path | None,
    tasks: int | None,
    writers: int,
    directory: Path | None,
    kill_at: float,
    as_json: bool,
) -> None:
    """Replay a cluster's trace, kill the leader, and check every replica.

    Three processes of this computer are the replicas. A scheduler writes each event of the trace in
    one transaction; halfway the leader is killed with SIGKILL and another takes over. In the end
    every replica must have exactly the transactions that were acknowledged, and the same checksum.
    Exit code 0 only if that holds.

    \b
    Examples:
      aurora-store demo
      aurora-store demo --trace FOLDER --kill-at 0.8 --json
    """
    from aurora_store.demo.run import STEPS, Options, run
    from aurora_store.demo.trace import TraceError

    options = Options(trace, tasks, writers, directory, kill_at)
    try:
        with show_progress(STEPS) as progress:
            result = run(options, progress)
    except TraceError as exc:
        raise click.UsageError(str(exc)) from exc
    print_checked(result, _print, as_json=as_json)


def _print(result: dict[str, Any]) -> None:
    rate, takeover = result["commits_per_s"], result["takeover_ms"]
    rows = [
        ("events, one transaction each", f"{result['events']}"),
        ("acknowledged", f"{result['acknowledged']}"),
        ("acknowledged before the kill", f"{result['acknowledged_before_kill']}"),
        ("in the log, not acknowledged", f"{result['found_after_kill']}"),
        ("commits/s before the kill", f"{rate['before']:.0f}"),
        ("commits/s after it", f"{rate['after']:.0f}"),
        ("kill to first commit", f"{takeover['total']:.1f} ms"),
    ]
    rows += [(f"  {label}", f"{takeover[key]:.1f} ms") for key, label in _TAKEOVER.items()]
    rows.append(("result", "nothing lost, nothing twice" if result["ok"] else "FAILED"))
    print_table(("", "value"), rows)
    print_table(
        ("replica", "state", "position", "version", "checksum", "hosts", "tasks", "events"),
        [
            (
                replica["name"],
                replica["state"],
                str(replica["position"]),
                str(replica["version"]),
                replica["checksum"],
                *(str(replica["rows"][table]) for table in ("host", "task", "task_event")),
            )
            for replica in result["replicas"]
        ],
    )


_TAKEOVER = {
    "detection": "noticing the exit",
    "election": "election",
    "catch_up": "catching up",
    "leader_entry": "LEADER entry",
    "first_commit": "first commit",
}
