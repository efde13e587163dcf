"""What can happen to a cluster. After each scenario it should come to be whole again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vagrant.namespaces import probe
from vagrant.namespaces.checks import (
    CheckFailed,
    Verdict,
    check,
    wait_commits,
    wait_leader,
    wait_state,
    wait_whole,
)
from vagrant.namespaces.cluster import Cluster
from vagrant.namespaces.machine import Machine, MachineFailed

Say = Callable[[str], None]

SCHEDULER, ZOOKEEPER = "aurora-scheduler", "aurora-zookeeper"

_LONGER_THAN_SESSIONS_S = 15.0
_JUMP_LASTS_S = 3.0
_HANDOVERS = 4
_CLOCK_LEEWAY_S = 60.0
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
_SLEEP, _OFFSET = "usr/local/lib/sleep.so", "etc/clock-offset"
_DROP_IN = "etc/systemd/system/aurora-scheduler.service.d/clock.conf"


@dataclass(frozen=True)
class Outcome:
    """How a scenario went.

    Attributes:
        pause_s: the longest time between two acknowledged commits, the checks' own pause included.
        duration_s: until everything was found to hold.
        verdict: what was found afterwards.
    """

    pause_s: float
    duration_s: float
    verdict: Verdict


def rolling_restart(cluster: Cluster, say: Say) -> None:
    """Every scheduler is restarted, one after the other, the leader last."""
    leader = wait_whole(cluster)
    machines = [each for each in cluster.machines.values() if each is not leader]
    for machine in [*machines, leader]:
        say(f"restarting {machine.name}")
        machine.systemctl("restart", SCHEDULER)
        wait_whole(cluster)


def leader_killed(cluster: Cluster, say: Say) -> None:
    """The leader's process is killed with SIGKILL."""
    leader = wait_whole(cluster)
    say(f"killing the leader, {leader.name}")
    leader.systemctl("kill", "--signal=KILL", SCHEDULER)
    say(f"{wait_leader(cluster).name} leads")


def leader_cut(cluster: Cluster, say: Say) -> None:
    """The leader's machine is cut off the network: until it gives up, and until another leads."""
    leader = _leader_beside_mesos(cluster, say)
    with _cut_off(cluster, leader, say):
        say(f"{wait_leader(cluster, other_than=leader).name} leads")
        # It has no quorum, and no way to hear of the other one.
        wait_state(leader, "standby")
    leader = _leader_beside_mesos(cluster, say)
    with _cut_off(cluster, leader, say):
        # Until then it may take itself for the leader: what it sent arrives after a newer promise.
        say(f"{wait_leader(cluster, other_than=leader).name} leads")


def _leader_beside_mesos(cluster: Cluster, say: Say) -> Machine:
    """A leader on another machine than Mesos: without it, nobody could register."""
    for _ in range(_HANDOVERS):
        leader = wait_whole(cluster)
        if leader.name != cluster.settings.mesos_machine:
            return leader
        to = next(each for each in cluster.machines.values() if each is not leader)
        say(f"{leader.name} is where Mesos runs: it hands over to {to.name}")
        try:
            leader.run("aurora", "lead", "--transfer", to.name)
        except MachineFailed as exc:
            # Soon after a cut a hand-over may take longer than it is waited for: see who leads.
            say(f"the hand-over was not confirmed: {exc}")
    raise CheckFailed(f"{_HANDOVERS} hand-overs left Mesos's machine the leader")


@contextmanager
def _cut_off(cluster: Cluster, leader: Machine, say: Say) -> Iterator[None]:
    """Cuts it off for the block. It must say why it leads no more, at the latest soon after."""
    before = len(leader.log(SCHEDULER))
    say(f"cutting the leader, {leader.name}, off")
    cluster.network.cut(leader.name)
    try:
        yield
    finally:
        cluster.network.heal(leader.name)
    found = wait_state(leader, "standby")
    if not found.reason or found.reason not in leader.log(SCHEDULER)[before:]:
        raise CheckFailed(f"{leader.name} does not say why it leads no more: {found}")
    say(f"{leader.name} leads no more, and is plugged in again: {found.reason}")


def zookeeper_lost(cluster: Cluster, say: Say) -> None:
    """Two of three ZooKeeper servers end for longer than a session lasts, and come back."""
    wait_whole(cluster)
    ended = list(cluster.machines.values())[1:]
    say(f"stopping ZooKeeper on {' and '.join(each.name for each in ended)}")
    for machine in ended:
        machine.systemctl("stop", ZOOKEEPER)
    try:
        wait_commits(cluster)
        say("the leader goes on without it")
        time.sleep(_LONGER_THAN_SESSIONS_S)
    finally:
        for machine in ended:
            machine.systemctl("start", ZOOKEEPER)
    say("ZooKeeper is back")


def replica_wiped(cluster: Cluster, say: Say) -> None:
    """A standby loses its disk, and rejoins by catching up."""
    leader = wait_whole(cluster)
    machine = next(each for each in cluster.machines.values() if each is not leader)
    say(f"wiping {machine.name}")
    machine.systemctl("stop", SCHEDULER)
    machine.wipe()
    wait_commits(cluster)
    machine.systemctl("start", SCHEDULER)


def all_killed(cluster: Cluster, say: Say) -> None:
    """All three schedulers are killed with SIGKILL at the same time."""
    wait_whole(cluster)
    say("killing all schedulers")
    machines = list(cluster.machines.values())
    with ThreadPoolExecutor(len(machines)) as pool:
        list(pool.map(lambda each: each.systemctl("kill", "--signal=KILL", SCHEDULER), machines))


def clock_skew(cluster: Cluster, say: Say) -> None:
    """Clocks are hours apart, a leader's jumps both ways, and that leader is killed."""
    wait_whole(cluster)
    machines = list(cluster.machines.values())
    for machine, hours in zip(machines, (2, -3, 0), strict=True):
        say(f"the scheduler of {machine.name} has a clock that is off by {hours:+} h")
        _fake_clock(machine, hours)
        machine.systemctl("restart", SCHEDULER)
        leader = wait_whole(cluster)
        _see_clock(machine, hours)
    for hours in (5, -5, 0):
        say(f"the clock of the leader, {leader.name}, jumps to {hours:+} h")
        _set_clock(leader, hours)
        time.sleep(_JUMP_LASTS_S)
        _see_clock(leader, hours)
        wait_commits(cluster)
    say(f"killing the leader, {leader.name}")
    leader.systemctl("kill", "--signal=KILL", SCHEDULER)
    say(f"{wait_leader(cluster).name} leads")
    check(cluster)
    for machine in machines:
        say(f"the clock of {machine.name} is right again")
        (machine.root / _DROP_IN).unlink()
        machine.systemctl("restart", SCHEDULER)
        wait_whole(cluster)


SCENARIOS: dict[str, Callable[[Cluster, Say], None]] = {
    "rolling-restart": rolling_restart,
    "leader-killed": leader_killed,
    "leader-cut": leader_cut,
    "zookeeper-lost": zookeeper_lost,
    "replica-wiped": replica_wiped,
    "all-killed": all_killed,
    "clock-skew": clock_skew,
}
"""By the names that the command line has for them, in the order that they run in."""


def run_scenario(name: str, cluster: Cluster, say: Say) -> Outcome:
    """Runs one on a cluster that is whole, and looks at everything that must hold afterwards.

    Raises:
        CheckFailed: something does not.
        StoreError: a machine does not do what it is told.
    """
    before = check(cluster)
    started = time.monotonic()
    SCENARIOS[name](cluster, say)
    verdict = check(cluster)
    if verdict.framework_id != before.framework_id:
        raise CheckFailed(
            f"the framework id was {before.framework_id} and is {verdict.framework_id}"
        )
    return Outcome(_longest_pause(cluster, started), time.monotonic() - started, verdict)


def _longest_pause(cluster: Cluster, started: float) -> float:
    moments = sorted(
        moment
        for machine in cluster.machines.values()
        for moment, _ in probe.acknowledged(machine)
        if moment > started
    )
    return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)


def _fake_clock(machine: Machine, hours: int) -> None:
    """A drop-in that gives the scheduler another time of day. Time that passes stays true."""
    _set_clock(machine, hours)
    build = ("cc", "-shared", "-fPIC", "-o", f"/{_SLEEP}", str(Path(__file__).with_name("sleep.c")))
    machine.run(*build)
    drop_in = machine.root / _DROP_IN
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(
        "[Service]\n"
        f'Environment="LD_PRELOAD=/{_SLEEP} {_FAKETIME}"\n'
        f"Environment=FAKETIME_TIMESTAMP_FILE=/{_OFFSET} FAKETIME_NO_CACHE=1\n"
        "Environment=FAKETIME_DONT_FAKE_MONOTONIC=1\n"
    )


def _set_clock(machine: Machine, hours: int) -> None:
    (machine.root / _OFFSET).write_text(f"{hours:+}h\n")


def _see_clock(machine: Machine, hours: int) -> None:
    """Makes sure that the scheduler has the time of day that it was to have."""
    found = probe.report(machine)
    off = None if found is None else found.clock - time.time()
    if off is None or abs(off - 3600 * hours) > _CLOCK_LEEWAY_S:
        raise CheckFailed(f"the clock of {machine.name} is off by {off} s, not by {hours:+} h")
