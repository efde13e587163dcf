"""The long run, `make soak`: leadership handed over, and leaders killed, again and again.

Prints how long nobody could write, beside the time of one append to a log of three replicas.
ROUNDS says how often (50).
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

for folder in ("log", "election"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))

from electorate import NAMES, Electorate  # noqa: E402
from harness import Worker, spawn  # noqa: E402
from replicas import Ensemble  # noqa: E402
from stores import check_pairs, wait_acknowledged  # noqa: E402
from zookeeper_server import running_zookeeper  # noqa: E402

from aurora_store.libmesos import fetch  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "50"))
SESSION_S = 2.0
TICK_S = 0.2  # of the server: it rounds the end of a session up to it
HEARTBEAT_S = 0.5
_LOG_WORKER = Path(__file__).parents[1] / "log" / "log_worker.py"


def raw_append_s(directory: Path) -> float:
    """Mean time of one append to a log of three replicas, with nothing else going on."""
    with ExitStack() as stack:

        def spawn_one(**options: Any) -> Worker:
            environment = {"AURORA_STORE_LIBMESOS": str(fetch())}
            worker = stack.enter_context(spawn(_LOG_WORKER, environment))
            worker.call("open_log", **options)
            return worker

        writer = Ensemble(spawn_one, directory).workers[0]
        writer.call("elect")
        writer.call("append_many", count=50, size=300)
        begin = time.monotonic()
        writer.call("append_many", count=500, size=300)
        return (time.monotonic() - begin) / 500


def report(what: str, seconds: Sequence[float], append_s: float) -> None:
    ordered = sorted(seconds)
    middle = statistics.median(ordered)
    print(
        f"\n{what}, {len(ordered)} rounds: min {ordered[0] * 1000:.1f} ms, median"
        f" {middle * 1000:.1f} ms, max {ordered[-1] * 1000:.1f} ms; one append:"
        f" {append_s * 1000:.2f} ms; median {middle / append_s:.1f} appends"
    )


def test_leadership_is_handed_over_again_and_again(workers: ExitStack, tmp_path: Path) -> None:
    append_s = raw_append_s(tmp_path / "raw")
    (tmp_path / "zookeeper").mkdir()
    with running_zookeeper(tmp_path / "zookeeper") as zookeeper:
        voters = Electorate(workers, tmp_path / "stores")
        voters.stand_all(zookeeper=zookeeper.url("/election", "user:secret"))
        voters.write()
        voters.replicas[0].call("transfer", to="green")
        leader, gaps, told = 1, [], []
        for _ in range(ROUNDS):
            wait_acknowledged(voters.acknowledged, voters.count_acknowledged() + 50)
            heir = (leader + 1) % 3
            done = voters.replicas[leader].call("transfer", to=NAMES[heir])
            old = voters.replicas[leader].call("writing")
            assert old["unknown"] == []
            gaps.append(voters.first_commit_after(heir, old["last"]) - old["last"])
            told.append(done["gap_s"])
            leader = heir
        voters.stop_writing()
        check_pairs(voters.replicas[leader], voters.acknowledged)
        voters.agree(leader)
    report("hand-over, last commit to first commit", gaps, append_s)
    report("hand-over, as transfer() tells it", told, append_s)


@pytest.mark.parametrize("way", ["zookeeper", "heartbeat"])
def test_leaders_are_killed_again_and_again(workers: ExitStack, tmp_path: Path, way: str) -> None:
    append_s = raw_append_s(tmp_path / "raw")
    (tmp_path / "zookeeper").mkdir()
    with running_zookeeper(tmp_path / "zookeeper") as zookeeper:
        voters = Electorate(workers, tmp_path / "stores", heartbeat=HEARTBEAT_S)
        election: dict[str, Any] = {}
        limit_s = 4 * HEARTBEAT_S
        if way == "zookeeper":
            election = {"zookeeper": zookeeper.url("/election"), "session_timeout": SESSION_S}
            limit_s = SESSION_S + TICK_S
        voters.stand(0, **election)
        voters.replicas[0].call("wait_leading")
        voters.write()
        voters.stand(1, **election)
        voters.stand(2, **election)
        leader, times = 0, []
        for _ in range(ROUNDS):
            time.sleep(random.uniform(0.5, 1.5))
            killed_at = time.monotonic()
            voters.replicas[leader].kill()
            heir = voters.wait_leader(*(number for number in range(3) if number != leader))
            times.append(voters.first_commit_after(heir, killed_at) - killed_at)
            voters.restart(leader).call("catch_up")
            voters.write_when_leading(leader)
            voters.stand(leader, **election)
            leader = heir
        voters.stop_writing()
        check_pairs(voters.replicas[leader], voters.acknowledged)
        voters.agree(leader)
    report(f"kill -9 to first commit, {way}", times, append_s)
    beyond = [(each - limit_s) / append_s for each in times if each > limit_s]
    print(
        f"limit {limit_s:g} s: {len(beyond)} of {len(times)} took longer, at most"
        f" {max(beyond, default=0.0):.0f} appends longer"
    )
