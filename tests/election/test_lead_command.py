"""``aurora-store lead`` against real candidates and a real ZooKeeper."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from electorate import Electorate
from harness import free_ports
from zookeeper_server import ZooKeeperServer


def run(*arguments: str, zookeeper: str, limit: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user would, with the URL in the environment."""
    return subprocess.run(
        [sys.executable, "-m", "aurora_store.cli", "lead", *arguments],
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
        env={"PATH": "/usr/bin:/bin", "AURORA_STORE_ZOOKEEPER": zookeeper},
    )


def error(ran: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """Exit code, kind and message of a command that failed with --json."""
    answer = json.loads(ran.stderr.splitlines()[-1])
    assert answer["code"] == ran.returncode
    return ran.returncode, answer["name"], answer["message"]


@pytest.fixture
def url(electorate: Electorate, zookeeper: ZooKeeperServer, request: pytest.FixtureRequest) -> str:
    """Of three candidates, of which red leads."""
    url = zookeeper.url(f"/{request.node.name}", "aurora:secret")
    election = {"zookeeper": url, "session_timeout": 30.0}
    electorate.stand(0, address="10.0.0.1:8080", metadata={"rack": 7}, **election)
    electorate.replicas[0].call("wait_leading")
    electorate.stand(1, **election)
    electorate.stand(2, **election)
    electorate.wait_advertised(2, epoch=1)
    return url


def test_it_shows_who_stands_and_who_leads_to_everybody(url: str) -> None:
    ran = run(zookeeper=url.replace("aurora:secret@", ""))
    assert (ran.returncode, ran.stderr) == (0, "")
    head, blue, green, red = (line.split("\t") for line in ran.stdout.splitlines())
    assert head == ["candidate", "address", "role", "since", "metadata"]
    assert (blue[0], blue[2], green[0], green[2]) == ("blue", "candidate", "green", "candidate")
    assert (red[0], red[1], red[2], red[4]) == ("red", "10.0.0.1:8080", "leader", '{"rack": 7}')
    answer = json.loads(run("--json", zookeeper=url).stdout)
    assert answer["leader"]["name"] == "red"
    assert answer["leader"]["epoch"] == 1
    assert [each["name"] for each in answer["candidates"]] == ["blue", "green", "red"]


def test_it_has_the_leader_hand_over_and_prints_the_gap(electorate: Electorate, url: str) -> None:
    ran = run("--transfer", "green", zookeeper=url)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[1] == "leader\tgreen"
    assert ran.stdout.splitlines()[2].startswith("gap\t")
    assert electorate.replicas[1].call("candidate_status")["state"] == "leading"
    answer = json.loads(run("--transfer", "blue", "--json", zookeeper=url).stdout)
    assert answer["leader"] == "blue"
    assert 0 < answer["gap_s"] < 5.0
    assert electorate.replicas[2].call("candidate_status")["state"] == "leading"


def test_what_cannot_be_done_has_an_exit_code_and_a_message(
    electorate: Electorate, url: str
) -> None:
    code, name, message = error(run("--transfer", "white", "--json", zookeeper=url))
    assert (code, name) == (32, "NoSuchCandidate")
    assert "white" in message and "blue, green, red" in message
    code, name, message = error(run("--transfer", "red", "--json", zookeeper=url))
    assert (code, name) == (33, "HandoverFailed")
    assert "red leads already" in message
    electorate.replicas[1].stop()
    try:
        slow = run("--transfer", "green", "--timeout", "1", "--json", zookeeper=url)
    finally:
        electorate.replicas[1].resume()
    code, name, message = error(slow)
    assert (code, name) == (33, "HandoverFailed")
    assert "green was not ready within 1 s" in message and "red goes on leading" in message
    stranger = url.replace("aurora:secret@", "")
    code, name, message = error(run("--transfer", "green", "--json", zookeeper=stranger))
    assert (code, name) == (30, "ElectionUnavailable")
    assert "rights" in message
    assert electorate.replicas[0].call("candidate_status")["state"] == "leading"


def test_that_nobody_leads_is_said_beside_who_stands(zookeeper: ZooKeeperServer) -> None:
    empty = zookeeper.url("/nobody")
    ran = run("--json", zookeeper=empty)
    assert json.loads(ran.stdout) == {"leader": None, "candidates": []}
    assert error(ran)[:2] == (31, "NoLeader")
    assert error(run("--transfer", "red", "--json", zookeeper=empty))[:2] == (31, "NoLeader")


def test_a_zookeeper_that_is_not_there_is_named() -> None:
    [port] = free_ports(1)
    ran = run("--json", zookeeper=f"zk://user:secret@127.0.0.1:{port}/election")
    code, name, message = error(ran)
    assert (code, name) == (30, "ElectionUnavailable")
    assert f"127.0.0.1:{port}" in message
    assert "secret" not in ran.stderr


def test_a_url_that_is_none_is_wrong_usage_and_not_shown_whole() -> None:
    ran = run(zookeeper="zk://user:secret@/nothing")
    assert ran.returncode == 2
    assert "zk://" in ran.stderr
    assert "secret" not in ran.stderr
