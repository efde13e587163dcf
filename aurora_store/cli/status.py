"""``aurora-store status``: every replica, who leads, and how far each one is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_store.cli.output import draw_table, human_bytes, json_option, print_json, print_table
from aurora_store.errors import ElectionUnavailable, NoLeader, ReplicaDown

if TYPE_CHECKING:
    from aurora_store.monitoring import Look, Overview, Replica
    from aurora_store.monitoring.access import Token

_LOOK_UP_EVERY_S = 30.0  # in ZooKeeper: a session each time
_HEADERS = (
    "replica",
    "state",
    "epoch",
    "position",
    "behind",
    "commit p50/p99",
    "append p50/p99",
    "database",
    "log on disk",
    "snapshot",
)


@click.command()
@click.argument("urls", nargs=-1, metavar="[URL]...")
@click.option(
    "--zookeeper",
    envvar="AURORA_STORE_ZOOKEEPER",
    metavar="URL",
    help="Ask all candidates of this election: zk://host:port,.../path",
)
@click.option("--watch", is_flag=True, help="Look again and again, until interrupted.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="With --watch: seconds between two looks.",
)
@click.option(
    "--token-file",
    envvar="AURORA_STORE_TOKEN_FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of mode 0600 with the token of the replicas' monitoring servers.",
)
@json_option
def status(
    urls: tuple[str, ...],
    zookeeper: str | None,
    watch: bool,
    interval: float,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Show every replica: who leads, how far each is, and the latency of the last minute.

    Each replica is asked at its monitoring server. Name these as host:port, or name the election,
    whose members say theirs in ZooKeeper.

    "behind" counts the log's entries that a replica has not applied. The latencies are of a
    leader's last minute: half of them, and 99 of 100, did not take longer.

    With --watch an interrupt ends it, and the exit code is that of the last look; with --json each
    look is one line.

    Exit codes: 0 somebody leads, and all replicas are reachable and well; 31 nobody leads; 40
    somebody leads, but a replica is unreachable or has failed; 30 ZooKeeper cannot be reached.

    \b
    Examples:
      aurora-store status 10.0.0.1:9150 10.0.0.2:9150 10.0.0.3:9150
      aurora-store status --zookeeper zk://h1:2181,h2:2181/scheduler/election --watch
    """
    replicas = _replicas(urls, zookeeper)
    token = _token(token_file)
    if watch:
        overview = _watch(replicas, token, interval, as_json)
    else:
        overview = _look(replicas, token)
        _print(overview, as_json)
    _judge(overview)


class _Given:
    """Replicas that were named."""

    problem = ""

    def __init__(self, urls: Sequence[str]) -> None:
        from aurora_store.monitoring import Replica

        self._replicas = [Replica(url.partition("://")[2] or url, url) for url in urls]

    def __call__(self) -> list[Replica]:
        return self._replicas


class _Elected:
    """The candidates of an election, who come and go."""

    def __init__(self, zookeeper: str) -> None:
        self.problem = ""
        self._zookeeper = zookeeper
        self._replicas: list[Replica] = []
        self._looked_up_at: float | None = None

    def __call__(self) -> list[Replica]:
        from aurora_store.monitoring import replicas_of_election

        now = time.monotonic()
        if self._looked_up_at is None or now - self._looked_up_at >= _LOOK_UP_EVERY_S:
            try:
                self._replicas, self.problem = replicas_of_election(self._zookeeper), ""
            except ElectionUnavailable as exc:
                # Just when ZooKeeper is down, the replicas are worth watching.
                if self._looked_up_at is None:
                    raise
                self.problem = f"{exc.message}; these are the candidates last heard of"
            self._looked_up_at = time.monotonic()
        return self._replicas


_Replicas = _Given | _Elected


def _replicas(urls: Sequence[str], zookeeper: str | None) -> _Replicas:
    from aurora_store.log import ZooKeeperAddress

    if urls:
        return _Given(urls)
    if zookeeper is None:
        raise click.UsageError("name the replicas' monitoring servers, or --zookeeper")
    try:
        ZooKeeperAddress.parse(zookeeper)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--zookeeper") from exc
    return _Elected(zookeeper)


def _token(path: Path | None) -> Token | None:
    from aurora_store.monitoring.access import token_of

    try:
        return token_of(None, path)
    except (OSError, ValueError) as exc:
        raise click.BadParameter(str(exc), param_hint="--token-file") from exc


def _look(replicas: _Replicas, token: Token | None) -> Overview:
    from aurora_store.monitoring import look_at

    return look_at(replicas(), token=token)


def _watch(replicas: _Replicas, token: Token | None, interval: float, as_json: bool) -> Overview:
    overview = _look(replicas, token)
    try:
        with _shown(as_json) as show:
            while True:
                show(overview, replicas.problem)
                time.sleep(interval)
                overview = _look(replicas, token)
    except KeyboardInterrupt:
        return overview


@contextmanager
def _shown(as_json: bool) -> Iterator[Callable[[Overview, str], None]]:
    """On a terminal each look replaces the one before."""
    if as_json or not sys.stdout.isatty():

        def print_it(overview: Overview, problem: str) -> None:
            if problem:
                click.echo(problem, err=True)
            _print(overview, as_json)

        yield print_it
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:

        def show(overview: Overview, problem: str) -> None:
            table = draw_table(_HEADERS, _rows(overview))
            table.caption = Text(f"{time.strftime('%H:%M:%S')}; ends with Ctrl-C. {problem}")
            live.update(table, refresh=True)

        yield show


def _print(overview: Overview, as_json: bool) -> None:
    if as_json:
        leader = overview.leader
        print_json(
            {
                "leader": None if leader is None else leader.name,
                "replicas": [
                    {
                        "name": look.name,
                        "address": look.replica.address,
                        "problem": look.problem or None,
                        "behind": overview.behind(look),
                        "status": look.status,
                    }
                    for look in overview.looks
                ],
            }
        )
    else:
        print_table(_HEADERS, _rows(overview))


def _rows(overview: Overview) -> list[tuple[str, ...]]:
    return [_row(look, overview) for look in overview.looks]


def _row(look: Look, overview: Overview) -> tuple[str, ...]:
    note = _plain(_note(look, overview))
    state = f"{look.state}: {note}" if note else look.state
    name = look.name
    if sum(each.name == name for each in overview.looks) > 1:
        name += f" ({look.replica.address})"
    if look.status is None:
        return (_plain(name), state, *[""] * (len(_HEADERS) - 2))
    recent = look.status["last_minute"]
    return (
        _plain(name),
        state,
        str(look.status["epoch"]),
        str(look.status["position"]),
        str(overview.behind(look)),
        _latency(recent["commit_latency"]),
        _latency(recent["append_latency"]),
        human_bytes(look.status["database_bytes"]),
        _disk(look.status.get("maintenance")),
        _snapshot(look.status.get("snapshot")),
    )


def _note(look: Look, overview: Overview) -> str:
    if look.status is None:
        return look.problem
    if look.state == "leading" and look is not overview.leader:
        return "was replaced, and does not know it yet"
    if look.state in ("leading", "standby"):  # a reason would be that of its last step down
        return _schema(look.status) or str((look.status.get("candidate") or {}).get("unfit", ""))
    return str(look.status["reason"])


def _schema(status: dict[str, Any]) -> str:
    """How its software does not fit the database: /status has the long reason."""
    schema = status.get("schema") or {}
    standing = schema.get("standing")
    if standing in (None, "current", "ahead"):
        return ""
    return f"schema {standing}{': migration failed' if schema.get('failed') else ''}"


def _disk(maintenance: dict[str, Any] | None) -> str:
    return "" if maintenance is None else human_bytes(maintenance["log_disk_bytes"])


def _snapshot(snapshot: dict[str, Any] | None) -> str:
    if snapshot is None or not snapshot["position"]:
        return ""
    return f"{snapshot['position']}, {_ago(snapshot['age_s'])} old"


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _latency(latency: dict[str, Any]) -> str:
    if not latency["count"]:
        return ""
    return "/".join(_milliseconds(latency[key]) for key in ("p50_s", "p99_s")) + " ms"


def _milliseconds(seconds: float | None) -> str:
    return "more" if seconds is None else f"{seconds * 1000:g}"


def _plain(text: str) -> str:
    """One line, whatever a replica sent."""
    return "".join(each if each.isprintable() else " " for each in text)


def _judge(overview: Overview) -> None:
    down = ", ".join(look.name for look in overview.looks if not look.well)
    if overview.leader is None:
        heard = {
            str(leader["name"])
            for look in overview.looks
            if look.status is not None and (leader := look.status.get("leader"))
        }
        last = (
            f", and {' or '.join(sorted(heard))} was heard of last as the leader" if heard else ""
        )
        raise NoLeader(
            f"nobody of these leads{last}{f'; unreachable or failed: {down}' if down else ''}",
            hint="see the states above, and the log of each replica's process",
        )
    if down:
        raise ReplicaDown(
            f"{overview.leader.name} leads, but unreachable or failed: {down}",
            hint="see the states above, and the log of each replica's process",
        )
