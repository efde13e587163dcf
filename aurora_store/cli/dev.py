"""``aurora-store dev``: what a developer needs around the store."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from aurora_store.cli.output import json_option, print_json, print_table, show_progress

if TYPE_CHECKING:
    from aurora_store.dev import MesosCluster

_STEPS = {"master": "Starting the master", "agents": "Waiting for the agents to register"}


@click.group()
def dev() -> None:
    """Run what a framework talks to, on this computer."""


@dev.command()
@click.option(
    "--agents", type=click.IntRange(0, 100), default=1, show_default=True, help="Number of agents."
)
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="To listen on. Whoever reaches it can run tasks as this user.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Of the master; 0 is any free one.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep sandboxes and the log here. [default: a temporary one, removed at the end]",
)
@click.option(
    "--resources", help="Of each agent. [default: cpus:4;mem:2048;disk:2048;ports:[31000-31100]]"
)
@json_option
def mesos(
    agents: int,
    address: str,
    port: int,
    directory: Path | None,
    resources: str | None,
    as_json: bool,
) -> None:
    """Run a Mesos master and agents until Ctrl-C.

    They are real and run real tasks, on one address and with the rights of the user, out of the
    libmesos that the log uses: Mesos need not be installed. Executors and tasks end with
    the command. Exit code 10: there is no libmesos that can do it.

    \b
    Examples:
      aurora-store dev mesos --agents 3
      aurora-store dev mesos --port 5050 --resources 'cpus:2;mem:512' --json
    """
    from aurora_store.dev.mesos import DEFAULT_RESOURCES, MesosCluster

    cluster = MesosCluster(
        agents,
        address=address,
        port=port,
        directory=directory,
        resources=resources or DEFAULT_RESOURCES,
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with show_progress(_STEPS) as progress:
            cluster.start(progress=progress)
        if as_json:
            print_json(
                {
                    "master": cluster.master,
                    "agents": agents,
                    "resources": cluster.resources,
                    "directory": str(cluster.directory),
                    "pid": cluster.pid,
                }
            )
        else:
            _print(cluster, kept=directory is not None)
        # Ctrl-C and signals are how this command ends, and no failure.
        with contextlib.suppress(KeyboardInterrupt):
            cluster.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # stopping takes no time and is not interrupted
        cluster.stop()


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _print(cluster: MesosCluster, *, kept: bool) -> None:
    rows = [
        ("master", cluster.master),
        ("look", f"http://{cluster.master}/state"),
        ("agents", str(cluster.agents)),
        ("each offers", cluster.resources),
        ("directory", f"{cluster.directory}" + ("" if kept else " (removed at the end)")),
        ("stop", f"Ctrl-C, or kill {os.getpid()}"),
    ]
    print_table(("Mesos", "value"), rows)
