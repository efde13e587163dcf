"""docs/operations.md: each section's commands, on real replicas in the state that it is about."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from harness import WorkerError
from memory_stores import MemoryEnsemble
from revision_files import write
from sqlalchemy import text

import aurora_store.backup
from aurora_store import TokenOutcome, errors, new_token
from aurora_store.maintenance import Policies

sys.path.insert(0, str(Path(__file__).parent))

from machines import Machines, commands, python_blocks

TASKS = "SELECT id, status FROM task ORDER BY id"
GOOD = [["a", "RUNNING"], ["b", "RUNNING"], ["c", "RUNNING"]]
GARBAGE = ["UPDATE task SET status = 'KILLED'", "INSERT INTO task VALUES ('x', 'GARBAGE')"]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test began."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def machines(stack: ExitStack, tmp_path: Path) -> Machines:
    """Three replicas that run; the first one leads. Good tasks are there at position 3."""
    three = Machines(stack, tmp_path)
    three.start(1, 2, 3, auto_initialize=True)
    leader = three.replicas[1]
    leader.call("lead")
    leader.call("script", statements=["CREATE TABLE task (id TEXT PRIMARY KEY, status TEXT)"])
    position = leader.call(
        "script",
        statements=["INSERT INTO task VALUES " + ", ".join(f"('{a}', '{b}')" for a, b in GOOD)],
    )
    assert position == 3
    three.agree(TASKS, 1)
    return three


def test_what_helps_with_every_question(machines: Machines) -> None:
    status, stat, verify = machines.run(commands("A replica is gone")[-1:], 1) + machines.run(
        [
            "aurora-store log stat /var/lib/scheduler/log",
            "aurora-store log verify /var/lib/scheduler/log",
        ],
        1,
    )
    assert status.stdout.count("standby") == 2 and "leading" in status.stdout
    assert stat.stdout and verify.stdout


def test_a_replica_is_gone(machines: Machines) -> None:
    without, again = commands("A replica is gone")
    machines.replicas.pop(3).kill()
    shutil.rmtree(machines.log(3))
    machines.run([without], 1)
    machines.replicas[1].call("script", statements=["INSERT INTO task VALUES ('d', 'NEW')"])
    machines.start(3)
    assert machines.agree(TASKS, 1) == [*GOOD, ["d", "NEW"]]
    (status,) = machines.run([again], 1)
    assert status.stdout.count("standby") == 2


def test_two_replicas_are_gone(machines: Machines) -> None:
    machines.replicas[1].call("script", statements=["INSERT INTO task VALUES ('d', 'NEW')"])
    machines.agree(TASKS, 1)
    for number in (1, 2):
        machines.replicas.pop(number).kill()
        shutil.rmtree(machines.log(number))
    machines.stop(3)
    machines.run(commands("Two replicas are gone"), 3)
    for number in (1, 2):
        shutil.copytree(machines.log(3), machines.log(number))
    machines.start(1, 2, 3)
    machines.replicas[2].call("lead")
    found = machines.agree(TASKS, 2)
    # The newest commit may have been on the other two alone.
    assert found in (GOOD, [*GOOD, ["d", "NEW"]])
    machines.replicas[2].call("script", statements=["INSERT INTO task VALUES ('e', 'NEW')"])
    assert len(machines.agree(TASKS, 2)) == len(found) + 1
    assert (machines.folder(3) / "log.lost").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_the_disk_is_full(stack: ExitStack, tmp_path: Path) -> None:
    machines = Machines(stack, tmp_path, count=1)
    disk = machines.folder(1)
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr}")
    stack.callback(subprocess.run, ["umount", "-l", disk], check=True)
    machines.start(1, auto_initialize=True)
    leader = machines.replicas[1]
    leader.call("lead")
    leader.call("script", statements=["CREATE TABLE task (id TEXT PRIMARY KEY, status TEXT)"])
    (disk / "core").write_bytes(b"x" * (40 << 20))
    with pytest.raises(WorkerError) as refused:
        leader.call("script", statements=["INSERT INTO task VALUES ('a', 'NEW')"])
    assert refused.value.type == "LeadershipLost"
    assert leader.call("query", statement=TASKS) == []
    df, stat, *after = commands("The disk is full")
    df_done, _ = machines.run([df, stat], 1)
    assert "tmpfs" in df_done.stdout
    (disk / "core").unlink()
    leader.call("lead")
    leader.call("script", statements=["INSERT INTO task VALUES ('a', 'NEW')"])
    assert leader.call("query", statement=TASKS) == [["a", "NEW"]]
    machines.run(after, 1)


def test_a_checksum_does_not_match(machines: Machines) -> None:
    backup = machines.backups / "nightly.db.zst"
    machines.run(commands("Backups")[:1], 2)
    machines.stop(2)
    _flip_a_bit(machines.log(2))
    verify, move, prove = commands("A checksum does not match")
    machines.run([verify, move], 2, codes={"log verify": 3})
    machines.start(2)
    assert machines.agree(TASKS, 1) == GOOD
    machines.run([verify], 2)
    machines.run([prove], 2)
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 1
    backup.write_bytes(content)
    machines.run([prove], 2, codes={"backup verify": 3})


def _flip_a_bit(log: Path) -> None:
    """In the middle of the newest file with entries."""
    files = [path for path in log.iterdir() if path.suffix in (".log", ".ldb", ".sst")]
    path = max(files, key=lambda each: each.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_bad_deploy_wrote_garbage(machines: Machines) -> None:
    machines.replicas[1].call("script", statements=GARBAGE)
    listed, _, diff, *_ = machines.run(commands("A bad deploy wrote garbage"), 1)
    assert "\n3\tbatch\t" in listed.stdout
    assert "GARBAGE" in diff.stdout and "KILLED" in diff.stdout
    assert machines.agree(TASKS, 1) == [["a", "RUNNING"], ["b", "LOST"], ["c", "RUNNING"]]
    assert machines.replicas[1].call("status")["state"] == "leading"


def test_move_to_new_machines(machines: Machines, stack: ExitStack, tmp_path: Path) -> None:
    machines.stop(3, 2, 1)
    moved = Machines(stack, tmp_path / "moved")
    for number in machines.numbers:
        lines = commands("Move to new machines")
        if shutil.which("rsync") is None:  # not on every machine that runs the tests
            lines = [
                line.replace("rsync -a", "mkdir -p /mnt/new-machine && cp -a") for line in lines
            ]
            lines = [
                line.replace("log/ /mnt/new-machine/log/", "log /mnt/new-machine/log")
                for line in lines
            ]
        machines.run(lines, number, **{"/mnt/new-machine": str(moved.folder(number))})
    moved.start(1, 2, 3)
    moved.replicas[3].call("lead")
    assert moved.agree(TASKS, 3) == GOOD
    moved.replicas[3].call("script", statements=["INSERT INTO task VALUES ('d', 'NEW')"])
    assert moved.agree(TASKS, 3) == [*GOOD, ["d", "NEW"]]


def test_change_the_quorum(machines: Machines, stack: ExitStack, tmp_path: Path) -> None:
    back_up, *rest = commands("Change the quorum")
    machines.stop(2, 3)
    with pytest.raises(WorkerError):
        machines.replicas[1].call("script", statements=["INSERT INTO task VALUES ('d', 'NEW')"])
    machines.run([back_up], 1)
    machines.stop(1)
    machines.run(rest, 1)
    assert (machines.folder(1) / "log.three").is_dir()
    five = Machines(stack, tmp_path / "five", count=5)
    for number in five.numbers:
        shutil.copytree(machines.log(1), five.log(number))
    five.start(*five.numbers)
    five.replicas[4].call("lead")
    assert five.agree(TASKS, 4) == GOOD
    for number in (1, 2):  # two of five may fail now
        five.replicas.pop(number).kill()
    five.replicas[4].call("script", statements=["INSERT INTO task VALUES ('d', 'NEW')"])
    assert five.agree(TASKS, 4) == [*GOOD, ["d", "NEW"]]


def test_roll_back_to_yesterday(machines: Machines) -> None:
    time.sleep(0.01)
    moment = datetime.now(timezone.utc)
    time.sleep(0.01)
    machines.replicas[1].call("script", statements=GARBAGE)
    lines = commands("Roll back to yesterday 14:05")
    machines.run(lines, 1, **{"2026-11-24T14:05Z": moment.isoformat()})
    assert machines.agree(TASKS, 1) == GOOD
    (stage, *_) = lines
    early = (moment - timedelta(days=1)).isoformat()
    machines.run([stage], 1, codes={"recovery stage": 20}, **{"2026-11-24T14:05Z": early})


# ---- upgrade and downgrade of a release ----

OLD = ("zone_0001", "Hosts have a zone", None, True, ["CREATE TABLE zone (host, name)"], None)
NEW = (
    "zone_0002",
    "Zones are racks",
    "zone_0001",
    False,
    ["ALTER TABLE zone RENAME TO rack"],
    ["ALTER TABLE rack RENAME TO zone"],
)
(
    BACK_UP,
    SHOW,
    STATUS,
    SHOW_AFTERWARDS,
    SHOW_BEFORE_IT_IS_UNDONE,
    DOWNGRADE,
    UPGRADE,
    DOWNGRADE_AS_THE_LAST,
    STATUS_AT_THE_END,
) = commands("Upgrade and downgrade of a release")


class Releases:
    """Three machines with the old release; the first one leads, and has a zone."""

    def __init__(self, stack: ExitStack, root: Path) -> None:
        self.stack = stack
        self.machines = Machines(stack, root)
        self.old = str(write(root / "old", [OLD]))
        self.new = str(write(root / "new", [OLD, NEW]))
        self.machines.start(1, 2, 3, auto_initialize=True, revisions=self.old)
        self.lead(1)
        insert = "INSERT INTO zone VALUES ('host-1', 'west')"
        self.machines.replicas[1].call("script", statements=[insert])

    def replace(self, number: int, release: str) -> None:
        self.machines.stop(number)
        self.machines.start(number, revisions=release)

    def lead(self, number: int) -> None:
        """Lets one lead, and waits until all have heard of it."""
        for replica in self.machines.replicas.values():
            if replica.call("status")["state"] == "leading":
                replica.call("step_down")  # there are no heartbeats here that would tell it
        self.machines.replicas[number].call("lead")
        position = self.machines.replicas[number].call("status")["position"]
        for replica in self.machines.replicas.values():
            replica.call("wait_for", position=position)

    def states(self, command: str = STATUS, code: int = 0) -> list[str]:
        """As the page's command shows them, by machine."""
        (shown,) = self.machines.run([command], 1, codes={"status": code})
        return [line.split("\t")[1] for line in shown.stdout.splitlines()[1:]]

    def upgrade(self) -> None:
        """All, with the first one as the leader."""
        for number in (2, 3, 1):
            self.replace(number, self.new)
        self.lead(1)

    def rows(self, number: int, table: str) -> list[list[Any]]:
        statement = f"SELECT host, name FROM {table}"
        return self.machines.replicas[number].call("query", statement=statement)  # type: ignore[no-any-return]


@pytest.fixture
def of_releases(stack: ExitStack, tmp_path: Path) -> Releases:
    return Releases(stack, tmp_path)


HOSTS = [["host-1", "west"]]


def test_a_rolling_upgrade(of_releases: Releases) -> None:
    machines = of_releases.machines
    _, shown = machines.run([BACK_UP, SHOW], 1)
    assert "zone_0001" in shown.stdout and "zone_0002" not in shown.stdout
    for number in (2, 3):
        of_releases.replace(number, of_releases.new)
    assert of_releases.states() == ["leading", "standby: schema behind", "standby: schema behind"]
    of_releases.lead(2)
    assert of_releases.states() == ["standby: schema too new", "leading", "standby"]
    of_releases.replace(1, of_releases.new)
    assert of_releases.states() == ["standby", "leading", "standby"]
    (shown,) = machines.run([SHOW_AFTERWARDS], 1)
    assert "zone_0002" in shown.stdout and "10.0.0.2:8080" in shown.stdout
    assert of_releases.rows(1, "rack") == HOSTS


def test_back_again_while_the_new_release_runs(of_releases: Releases) -> None:
    machines = of_releases.machines
    of_releases.upgrade()
    of_releases.replace(2, of_releases.old)
    assert of_releases.states() == ["leading", "standby: schema too new", "standby"]
    _, undone = machines.run([SHOW_BEFORE_IT_IS_UNDONE, DOWNGRADE], 1)
    assert "zone_0002" in undone.stdout
    of_releases.lead(2)
    reverted = "standby: schema reverted"
    assert of_releases.states() == [reverted, "leading", reverted]
    assert of_releases.rows(2, "zone") == HOSTS
    (released,) = machines.run([UPGRADE], 2)
    assert "released\tzone_0002" in released.stdout
    of_releases.lead(3)
    assert of_releases.rows(1, "rack") == HOSTS


def test_all_need_what_was_undone_and_one_leads_to_apply_it_again(of_releases: Releases) -> None:
    machines = of_releases.machines
    of_releases.upgrade()
    machines.run([DOWNGRADE], 1)
    machines.run([UPGRADE], 1, codes={"upgrade": 13})
    machines.run([f"{UPGRADE} --lead"], 1)
    assert of_releases.rows(1, "rack") == HOSTS


def test_back_again_with_only_the_old_release_left(of_releases: Releases) -> None:
    machines = of_releases.machines
    of_releases.upgrade()
    for number in (1, 2, 3):
        of_releases.replace(number, of_releases.old)
    too_new = "standby: schema too new"
    assert of_releases.states(code=31) == [too_new] * 3
    machines.run([DOWNGRADE], 2, codes={"downgrade": 13})
    (undone,) = machines.run([DOWNGRADE_AS_THE_LAST], 2)
    assert "zone_0002" in undone.stdout
    position = machines.replicas[2].call("status")["position"]
    for replica in machines.replicas.values():
        replica.call("wait_for", position=position)
    assert of_releases.states(STATUS_AT_THE_END) == ["standby", "leading", "standby"]
    assert of_releases.rows(1, "zone") == HOSTS


def test_with_everything_down_a_log_is_made_of_any_backup_and_the_leader_sees_to_its_schema(
    of_releases: Releases,
) -> None:
    machines = of_releases.machines
    of_releases.upgrade()
    (back_up, *_) = commands("Backups")
    machines.run([back_up], 1)
    machines.stop(1, 2, 3)
    machines.run(commands("Recovery with everything down"), 1)
    alone = Machines(of_releases.stack, machines.root / "alone", count=1)
    shutil.copytree(machines.log(1), alone.log(1))
    alone.start(1, revisions=of_releases.old)
    with pytest.raises(WorkerError, match="zone_0002"):
        alone.replicas[1].call("lead")
    alone.stop(1)
    alone.start(1, revisions=of_releases.new)
    alone.replicas[1].call("lead")


def test_backups(machines: Machines) -> None:
    _, _, listed, _ = machines.run(commands("Backups"), 2)
    assert "backup-2" in listed.stdout


def test_the_schedule_and_the_tokens_of_the_page(tmp_path: Path, stack: ExitStack) -> None:
    store = MemoryEnsemble(stack).open("one:1")
    store.lead()
    with store.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE task (id TEXT PRIMARY KEY, status TEXT)")
    names = {"store": store, **vars(errors), **vars(aurora_store.backup), "Policies": Policies}
    names.update(text=text, timedelta=timedelta, new_token=new_token)
    blocks = python_blocks()
    assert len(blocks) == 2
    for block in blocks:
        exec(block.replace("/backup", str(tmp_path)), names)  # our own page
    schedule = names["policies"].backups
    assert schedule.due()
    schedule.run(store)
    assert store.outcome(names["token"]) is TokenOutcome.COMMITTED
    (made,) = tmp_path.glob("backup-*.zst")
    assert made.stat().st_size > 0
    assert store.expire_tokens(older_than=timedelta(days=7)) == 0


def test_recovery_with_everything_down(machines: Machines) -> None:
    machines.run(commands("Backups")[:1], 1)
    machines.replicas[1].call("script", statements=GARBAGE)
    machines.agree(TASKS, 1)
    for number in machines.numbers:
        machines.replicas.pop(number).kill()
    machines.run(commands("Recovery with everything down"), 1)
    for number in (2, 3):
        machines.log(number).rename(machines.folder(number) / "log.before")
        shutil.copytree(machines.log(1), machines.log(number))
    machines.start(1, 2, 3)
    machines.replicas[1].call("lead")
    assert machines.agree(TASKS, 1) == GOOD
