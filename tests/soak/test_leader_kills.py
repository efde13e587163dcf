"""The long run, `make soak`: the leader killed, or stopped, at random moments, again and again.

Not part of `make test`: it takes minutes. ROUNDS says how often (50). A run prints its seed.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from stores import CREATE_PAIRS, Cluster, check_pairs, wait_acknowledged

ROUNDS = int(os.environ.get("ROUNDS", "50"))


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_the_leader_may_fail_at_any_moment(fault: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged = tmp_path / "acknowledged"
    with ExitStack() as workers:
        cluster = Cluster(workers, tmp_path, append_timeout=2.0)
        leading = 0
        cluster.replicas[leading].call("lead")
        cluster.replicas[leading].call("script", statements=[CREATE_PAIRS])
        done = 0
        for number in range(ROUNDS):
            old = cluster.replicas[leading]
            old.call(
                "start_writing",
                writers=chance.choice([1, 4, 16]),
                first=number * 1_000_000,
                acknowledged=str(acknowledged),
            )
            done = wait_acknowledged(acknowledged, done)
            time.sleep(chance.random() * 0.5)
            successor = (leading + chance.choice([1, 2])) % 3
            new = cluster.replicas[successor]
            if fault == "kill":
                old.kill()
                new.call("lead")
                cluster.restart(leading).call("catch_up")
            else:
                old.stop()
                new.call("lead")
                time.sleep(2.5 if number % 5 == 0 else chance.random() * 0.5)
                old.resume()
                assert old.call("wait_not_leading") != "leading", "the old leader was not fenced"
                old.call("stop_writing")
            cluster.agree(successor)
            for replica in cluster.replicas:
                check_pairs(replica, acknowledged)
            done = acknowledged.read_bytes().count(b"\n")
            leading = successor
            print(f"{fault} {number + 1}/{ROUNDS}: {done} acknowledged", flush=True)
