"""Tokens on the real log: after kill -9 of the leader, any later leader knows every outcome."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness import WorkerError
from stores import Cluster

from aurora_store import new_token


def test_after_kill_9_the_next_leader_says_of_every_token_what_its_effect_says(
    cluster: Cluster, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    old, new, third = cluster.replicas
    old.call("lead")
    old.call("script", statements=["CREATE TABLE used (token TEXT PRIMARY KEY)"])
    old.call("start_tokens", writers=4, journal=str(journal))
    deadline = time.monotonic() + 30
    while not journal.exists() or journal.read_bytes().count(b" ok\n") < 50:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    old.kill()
    new.call("lead")
    lines = [line.split(" ") for line in journal.read_text().splitlines() if " " in line]
    tokens = {line[0] for line in lines}
    acknowledged = {line[0] for line in lines if line[1] == "ok"}
    outcomes = {token: new.call("outcome", token=token) for token in tokens}
    assert {token for token in acknowledged if outcomes[token] != "committed"} == set()
    effects = {row[0] for row in new.call("query", statement="SELECT token FROM used")}
    assert {token for token in tokens if outcomes[token] == "committed"} == effects

    # Another leader gives the same answers, and nobody can turn one around.
    new.call("step_down")
    third.call("lead")
    assert {token: third.call("outcome", token=token) for token in tokens} == outcomes
    for token in tokens - acknowledged:
        with pytest.raises(WorkerError) as refused:
            third.call("insert_with_token", token=token, statement="INSERT INTO used VALUES ('x')")
        assert refused.value.type in ("AlreadyCommitted", "TokenRefused")


def test_a_leader_stopped_in_mid_air_cannot_contradict_what_the_next_one_said(
    cluster: Cluster,
) -> None:
    old, new, _ = cluster.replicas
    old.call("lead")
    old.call("script", statements=["CREATE TABLE used (token TEXT)"])
    token = new_token()
    old.stop()
    pending = old.start(
        "insert_with_token", token=token, statement="INSERT INTO used VALUES ('late')"
    )
    new.call("lead")
    said = new.call("outcome", token=token)
    old.resume()
    with pytest.raises(WorkerError) as ended:
        pending.result()
    assert ended.value.type in ("LeadershipLost", "NotLeader", "CommitOutcomeUnknown")
    assert said == "not_committed"
    assert new.call("outcome", token=token) == said
    assert new.call("query", statement="SELECT count(*) FROM used") == [[0]]
    old.call("wait_for", position=new.call("status")["position"])
    assert old.call("outcome", token=token) == said
