"""``aurora-store lead``: who stands, who leads, and handing over."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from aurora_store.cli.output import json_option, print_json, print_table, show_progress
from aurora_store.errors import NoLeader

if TYPE_CHECKING:
    from aurora_store.election import Leader, Member


@click.command()
@click.option(
    "--zookeeper",
    envvar="AURORA_STORE_ZOOKEEPER",
    required=True,
    metavar="URL",
    help="The election: zk://[user:password@]host:port,.../path",
)
@click.option("--transfer", metavar="NAME", help="Have the leader hand over to this candidate.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long that candidate may take to be ready, in seconds.",
)
@json_option
def lead(zookeeper: str, transfer: str | None, timeout: float, as_json: bool) -> None:
    """Show who stands for election and who leads; with --transfer, hand over.

    The leader hands over once that candidate has applied what the leader has: every commit gets
    through first. What is printed then is the gap: how long nobody took writes, as the old leader
    saw it.

    A password belongs into the environment variable AURORA_STORE_ZOOKEEPER, which takes the URL:
    other users of the machine can read a command line.

    Exit codes: 30 ZooKeeper cannot be reached or used, 31 nobody leads, 32 there is no such
    candidate, 33 the hand-over failed, and the message says who leads.

    \b
    Examples:
      aurora-store lead --zookeeper zk://h1:2181,h2:2181/scheduler/election
      aurora-store lead --zookeeper zk://h1:2181/scheduler/election --transfer host-2
    """
    if transfer is None:
        _show(zookeeper, as_json)
    else:
        _transfer(zookeeper, transfer, timeout, as_json)


def _show(zookeeper: str, as_json: bool) -> None:
    from aurora_store.election import look_up

    leader, candidates = look_up(_checked(zookeeper))
    if as_json:
        print_json(
            {
                "leader": None if leader is None else leader.as_json(),
                "candidates": [each.as_json() for each in candidates],
            }
        )
    else:
        rows = [_row(each, leader) for each in candidates]
        print_table(("candidate", "address", "role", "since", "metadata"), rows)
    if leader is None:
        raise NoLeader(
            "nobody leads" if candidates else "nobody leads, and no candidate stands there",
            hint=None if candidates else "see whether this is the candidates' path",
        )


def _row(member: Member, leader: Leader | None) -> tuple[str, str, str, str, str]:
    role, since = "candidate", ""
    if leader is not None and leader.name == member.name:
        role = "leader" if leader.epoch is not None else "takes over"
        if leader.since is not None:
            seconds = (datetime.now(timezone.utc) - leader.since).total_seconds()
            since = f"{leader.since.isoformat(sep=' ', timespec='seconds')} ({_age(seconds)})"
    metadata = json.dumps(member.metadata) if member.metadata else ""
    return member.name, member.address, role, since, metadata


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def _transfer(zookeeper: str, to: str, timeout: float, as_json: bool) -> None:
    from aurora_store.election import hand_over

    with show_progress({"wait": f"Waiting until {to} is ready and leads"}) as progress:
        progress("wait", 0, 1)
        done = hand_over(_checked(zookeeper), to, timeout=timeout)
        progress("wait", 1, 1)
    answer: dict[str, Any] = {"leader": done.to, "gap_s": done.gap_s}
    if as_json:
        print_json(answer)
    else:
        print_table(("", "value"), [("leader", done.to), ("gap", f"{done.gap_s * 1000:.1f} ms")])


def _checked(zookeeper: str) -> str:
    from aurora_store.log import ZooKeeperAddress

    try:
        ZooKeeperAddress.parse(zookeeper)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--zookeeper") from exc
    return zookeeper
