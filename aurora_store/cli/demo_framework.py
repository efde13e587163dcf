"""``aurora-store demo-framework``: leaders of a Mesos framework are killed, and it goes on."""

from __future__ import annotations

from typing import Any

import click

from aurora_store.cli.output import json_option, print_checked, print_table, show_progress

_STEPS = {
    "detection": "detection",
    "election": "election",
    "catch_up": "catch-up",
    "registration": "registration",
    "total": "kill to active",
}


@click.command("demo-framework")
@click.option(
    "--kills", type=click.IntRange(1, 1000), default=2, show_default=True, help="Kill so many."
)
@click.option(
    "--session-timeout",
    type=click.FloatRange(0.4, 60.0),
    default=2.0,
    show_default=True,
    help="Seconds until ZooKeeper notices that a leader is gone.",
)
@json_option
def demo_framework(kills: int, session_timeout: float, as_json: bool) -> None:
    """Kill the leaders of a framework under load, and check every replica and the master.

    Three processes of this computer run the example framework, beside a real ZooKeeper, Mesos
    master and two agents; tasks come and go all the time. The leader is killed with SIGKILL and
    another candidate takes over. In the end the master must know one framework, with the id that it
    had at first; no task may have been launched twice or be forgotten, and no update lost. Exit
    code 0 only if that holds. Needs the extra "mesos", ZooKeeper and Java.

    \b
    Examples:
      aurora-store demo-framework
      aurora-store demo-framework --kills 5 --json
    """
    from aurora_store.demo.framework import STEPS, Options, run

    options = Options(kills=kills, session_timeout=session_timeout)
    with show_progress(STEPS) as progress:
        result = run(options, progress)
    print_checked(result, _print, as_json=as_json)


def _print(result: dict[str, Any]) -> None:
    rows = [
        ("framework id", result["framework_id"]),
        ("leaders killed", str(result["kills"])),
        ("ZooKeeper's session timeout", f"{result['session_timeout_ms']} ms"),
        ("tasks in the store", str(result["tasks"])),
        ("tasks that started", str(result["tasks_started"])),
        (
            "result",
            "same id, nothing launched twice, forgotten or lost" if result["ok"] else "FAILED",
        ),
    ]
    print_table(("", "value"), rows)
    print_table(
        ("killed", "next leader", "registered as", *_STEPS.values()),
        [
            (
                each["killed"],
                each["leader"],
                each["framework_id"],
                *(f"{each['ms'][step]:.1f} ms" for step in _STEPS),
            )
            for each in result["takeovers"]
        ],
    )
    print_table(
        ("replica", "state", "position", "checksum", "tasks", "updates"),
        [
            (
                each["name"],
                each["state"],
                str(each["position"]),
                each["checksum"],
                str(each["tasks"]),
                str(each["events"]),
            )
            for each in result["replicas"]
        ],
    )
