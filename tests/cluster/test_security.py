"""Who may do and see what, on machines that are set up as those of production would be."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from vagrant.namespaces.checks import wait_whole
from vagrant.namespaces.cluster import Cluster
from vagrant.namespaces.machine import Machine

PYTHON = "/opt/aurora-store/venv/bin/python"
ATTEMPTS = """
import json, sys
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import OPEN_ACL_UNSAFE
servers, root = sys.argv[1:]
credentials = sys.stdin.read()
client = KazooClient(servers)
client.start(timeout=20)
if credentials:
    client.add_auth("digest", credentials)
group, election = f"{root}/log", f"{root}/election"
member = f"{group}/{client.get_children(group)[0]}"
attempts = {
    "join the log": lambda: client.create(f"{group}/0000009999", b"log-replica(1)@1.2.3.4:1"),
    "remove a replica": lambda: client.delete(member),
    "change a replica's address": lambda: client.set(member, b"log-replica(1)@1.2.3.4:1"),
    "remove the leader": lambda: client.delete(f"{election}/leader"),
    "change the leader": lambda: client.set(f"{election}/leader", b"{}"),
    "ask for a hand-over": lambda: client.create(f"{election}/transfer", b"{}"),
    "change the rights": lambda: client.set_acls(election, OPEN_ACL_UNSAFE),
}
done = []
for what, attempt in attempts.items():
    try:
        attempt()
    except NoAuthError:
        continue
    done.append(what)
print(json.dumps({"done": done, "read": client.get(f"{election}/leader")[0].decode()}))
client.stop()
"""
GET = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1])
if sys.argv[2:]:
    request.add_header("Authorization", "Bearer " + open(sys.argv[2]).read().strip())
try:
    print(urllib.request.urlopen(request, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture
def machine(cluster: Cluster) -> Machine:
    """The one that leads."""
    return wait_whole(cluster)


def attempts(cluster: Cluster, machine: Machine, credentials: str) -> Any:
    arguments = (cluster.settings.zookeeper, cluster.settings.zookeeper_path)
    return json.loads(machine.run(PYTHON, "-c", ATTEMPTS, *arguments, text=credentials))


@pytest.mark.parametrize("credentials", ["", "aurora:guessed"])
def test_stranger_changes_nothing_in_zookeeper(
    cluster: Cluster, machine: Machine, credentials: str
) -> None:
    answer = attempts(cluster, machine, credentials)
    assert answer["done"] == []
    assert machine.name in answer["read"]  # who leads is no secret


def test_members_have_the_rights_that_strangers_lack(cluster: Cluster, machine: Machine) -> None:
    # Otherwise the test above would pass with a ZooKeeper that lets nobody do anything.
    members = cluster.secrets["AURORA_STORE_ZOOKEEPER_CREDENTIALS"]
    script = ATTEMPTS[: ATTEMPTS.index("attempts = {")] + (
        'print(json.dumps(client.create(f"{root}/log/check", ephemeral=True)))\n'
    )
    arguments = (cluster.settings.zookeeper, cluster.settings.zookeeper_path)
    done = json.loads(machine.run(PYTHON, "-c", script, *arguments, text=members))
    assert done == "/aurora/log/check"


@pytest.mark.parametrize(
    ("path", "mode", "owner"),
    [
        ("/etc/aurora-store/credentials.env", 0o600, "root"),
        ("/etc/aurora-store/monitoring-token", 0o600, "aurora"),
        ("/usr/local/sbin/aurora", 0o700, "root"),
        ("/var/lib/aurora-store", 0o700, "aurora"),
        ("/var/lib/aurora-store/store", 0o700, "aurora"),
        ("/var/lib/aurora-store/store/CURRENT", 0o600, "aurora"),
        ("/run/aurora-store", 0o700, "aurora"),
        ("/var/lib/aurora-mesos", 0o700, "aurora-mesos"),
        ("/var/lib/zookeeper", 0o700, "zookeeper"),
        ("/var/lib/zookeeper/version-2", 0o700, "zookeeper"),
    ],
)
def test_files_are_their_owners_alone(machine: Machine, path: str, mode: int, owner: str) -> None:
    found = machine.run("stat", "-c", "%a %U", path).split()
    assert found == [f"{mode:o}", owner]


def test_no_file_of_the_services_is_readable_to_others(machine: Machine) -> None:
    folders = ("/var/lib/aurora-store", "/run/aurora-store", "/var/lib/zookeeper")
    assert machine.run("find", *folders, "-perm", "/o+rwx", "!", "-type", "l").split() == []


def test_secrets_are_in_no_log_and_no_command_line(cluster: Cluster, machine: Machine) -> None:
    machine.run("aurora", "lead")
    secrets = [value.rpartition(":")[2].encode() for value in cluster.secrets.values()]
    places = [*machine.disk.glob("var/log/**/*.log"), machine.disk.parent / "provision.log"]
    places += [path / "cmdline" for path in (machine.root / "proc").glob("[0-9]*")]
    assert len(places) > 5
    for place in filter(Path.exists, places):
        assert not any(secret in place.read_bytes() for secret in secrets), place


def test_status_needs_the_token_and_holds_no_secret(cluster: Cluster, machine: Machine) -> None:
    url = f"http://{machine.address}:8081/status"
    assert machine.run(PYTHON, "-c", GET, url).split() == ["401"]
    token = "/etc/aurora-store/monitoring-token"
    assert machine.run(PYTHON, "-c", GET, url, token).split() == ["200"]
    shown = machine.run("aurora", "status", "--json")
    for value in cluster.secrets.values():
        assert value.rpartition(":")[2] not in shown


@pytest.mark.parametrize("unit", ["aurora-scheduler", "aurora-zookeeper"])
def test_services_have_no_privileges(machine: Machine, unit: str) -> None:
    pid = machine.run("systemctl", "show", "-p", "MainPID", "--value", unit).strip()
    process = machine.root / "proc" / pid
    facts = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    assert "0" not in facts["Uid"].split()
    assert facts["NoNewPrivs"] == "1"
    assert int(facts["CapBnd"], 16) == 0
    assert int(facts["CapEff"], 16) == 0
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    [options] = [fields[5] for fields in mounts if fields[4] == "/"][-1:]
    assert "ro" in options.split(",")


def test_tasks_of_mesos_cannot_read_the_credentials(cluster: Cluster) -> None:
    machine = cluster.machines[cluster.settings.mesos_machine]
    path = machine.root / "etc/aurora-store/credentials.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    uid = machine.run("ps", "-o", "user:20=", "-C", "sleep").split()
    assert set(uid) == {"aurora-mesos"}
