"""``python -m vagrant.namespaces``: brings the cluster up, and runs scenarios on it."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from aurora_store.cli.errors import RenderingGroup
from aurora_store.cli.output import print_table, show_progress
from aurora_store.errors import StoreError
from vagrant.namespaces.cluster import Cluster, remove_leftovers, why_not
from vagrant.namespaces.scenarios import SCENARIOS, run_scenario

_STEPS = {
    "clean": "Looking for what an earlier run left",
    "machines": "Switching the machines on",
    "provision": "Setting them up, with the scripts of vagrant/provision",
}


@click.group(cls=RenderingGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The cluster of vagrant/ on this computer: three machines that are network namespaces.

    Needs root. Ends with nothing left behind.
    """


@main.command()
@click.argument("scenarios", nargs=-1, type=click.Choice(list(SCENARIOS)))
@click.option("--directory", type=click.Path(path_type=Path), help="Keep disks and logs there.")
def run(scenarios: tuple[str, ...], directory: Path | None) -> None:
    """Run SCENARIOS one after the other, or all of them. Exit code 1: not everything held."""
    rows, failed = [], False
    with _cluster(directory) as cluster:
        _bring_up(cluster)
        for name in scenarios or SCENARIOS:
            click.echo(f"{name}: {_first_line(name)}", err=True)
            started = time.monotonic()
            try:
                outcome = run_scenario(name, cluster, _say)
            except StoreError as exc:
                failed = cluster.keep = True
                click.echo(f"  FAILED: {exc.message}", err=True)
                rows.append((name, "FAILED", f"{time.monotonic() - started:.1f} s", *("",) * 6))
                continue
            found = outcome.verdict
            rows.append(
                (
                    name,
                    "held",
                    f"{outcome.duration_s:.1f} s",
                    f"{outcome.pause_s:.2f} s",
                    str(found.acknowledged),
                    found.leader,
                    found.framework_id[-8:],
                    str(found.launched),
                    f"{found.version}:{found.checksum:016x}",
                )
            )
    if failed:
        click.echo(f"The logs are {cluster.directory}/aurora-*/disk/var/log/*.log", err=True)
    headers = (
        "scenario",
        "checks",
        "took",
        "longest pause",
        "acknowledged",
        "leader",
        "framework",
        "tasks",
        "replicas",
    )
    print_table(headers, rows)
    sys.exit(1 if failed else 0)


@main.command()
@click.option("--directory", type=click.Path(path_type=Path), help="Keep disks and logs there.")
def up(directory: Path | None) -> None:
    """Bring the cluster up and keep it until Ctrl-C."""
    with _cluster(directory) as cluster:
        _bring_up(cluster)
        rows = [
            (machine.name, machine.address, machine.shell) for machine in cluster.machines.values()
        ]
        print_table(("machine", "address", "a shell on it"), rows)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


@main.command()
def clean() -> None:
    """Remove what a run left behind that was killed."""
    for name in remove_leftovers():
        click.echo(f"removed {name}", err=True)


def _cluster(directory: Path | None) -> Cluster:
    reason = why_not()
    if reason is not None:
        raise StoreError(f"this computer cannot run the cluster: {reason}")
    signal.signal(signal.SIGTERM, _interrupt)
    return Cluster(directory)


def _bring_up(cluster: Cluster) -> None:
    with show_progress(_STEPS) as progress:
        cluster.up(progress)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _first_line(name: str) -> str:
    return (SCENARIOS[name].__doc__ or "").splitlines()[0]


def _say(text: str) -> None:
    click.echo(f"  {time.strftime('%H:%M:%S')} {text}", err=True)


if __name__ == "__main__":
    main()
