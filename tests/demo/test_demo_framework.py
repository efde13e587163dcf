"""``aurora-store demo-framework`` as its users run it, and what it finds if something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from aurora_store.demo.framework_check import History, differences_of
from aurora_store.libmesos import fetch

LIMIT = 240.0


def test_leader_is_killed_and_all_accounts_agree() -> None:
    command = [sys.executable, "-m", "aurora_store.cli", "demo-framework", "--kills", "1", "--json"]
    environment = {**os.environ, "AURORA_STORE_LIBMESOS": str(fetch())}
    result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment)
    if "apt-get install zookeeper" in result.stderr:
        pytest.skip("no ZooKeeper on this machine")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["ok"]
    assert answer["differences"] == []
    [takeover] = answer["takeovers"]
    assert takeover["framework_id"] == answer["framework_id"]
    assert takeover["ms"]["total"] >= takeover["ms"]["detection"] > 0
    assert len(answer["replicas"]) == 3
    assert {each["framework_id"] for each in answer["replicas"]} == {answer["framework_id"]}
    assert len({each["checksum"] for each in answer["replicas"]}) == 1
    assert answer["tasks_started"] > 0


def task(name: str, state: str = "TASK_FINISHED") -> dict[str, Any]:
    """As the master tells it."""
    return {"id": name, "state": state, "statuses": [{"state": "TASK_RUNNING"}, {"state": state}]}


def good() -> dict[str, Any]:
    """A history in which everything holds, to be spoilt."""
    replica = {
        "framework_id": "f",
        "tasks": [["a", "TASK_FINISHED"], ["never-launched", "TASK_LOST"]],
        "events": [["a", "TASK_RUNNING"], ["a", "TASK_FINISHED"]],
        "checksum": "1",
        "recomputed": "1",
        "kept": "1",
    }
    framework = {"id": "f", "tasks": [], "completed_tasks": [task("a")]}
    return {
        "framework_id": "f",
        "state": {"frameworks": [framework], "completed_frameworks": []},
        "started": ["a"],
        "replicas": [{"name": name, **replica} for name in ("one", "two")],
    }


def second_framework(history: dict[str, Any]) -> None:
    history["state"]["completed_frameworks"].append({"id": "g", "tasks": [], "completed_tasks": []})


def other_id(history: dict[str, Any]) -> None:
    history["replicas"][1]["framework_id"] = "g"


def other_rows(history: dict[str, Any]) -> None:
    history["replicas"][1]["tasks"] = []


def other_checksum(history: dict[str, Any]) -> None:
    history["replicas"][1]["recomputed"] = "2"


def started_twice(history: dict[str, Any]) -> None:
    history["started"].append("a")


def known_twice(history: dict[str, Any]) -> None:
    history["state"]["frameworks"][0]["tasks"].append(task("a"))


def forgotten_by_the_store(history: dict[str, Any]) -> None:
    history["state"]["frameworks"][0]["tasks"].append(task("b"))


def started_and_forgotten(history: dict[str, Any]) -> None:
    history["started"].append("b")


def unknown_to_mesos(history: dict[str, Any]) -> None:
    for replica in history["replicas"]:
        replica["tasks"] = [*replica["tasks"], ["b", "TASK_RUNNING"]]


def other_state(history: dict[str, Any]) -> None:
    history["state"]["frameworks"][0]["completed_tasks"][0]["state"] = "TASK_FAILED"


def lost_update(history: dict[str, Any]) -> None:
    for replica in history["replicas"]:
        replica["events"] = [["a", "TASK_FINISHED"]]


def test_history_in_which_all_agree_has_no_differences() -> None:
    assert differences_of(History(**good())) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (second_framework, "the master knows the frameworks ['f', 'g'], not f alone"),
        (other_id, "two has the framework id g, not f"),
        (other_rows, "the replicas do not have the same tasks"),
        (other_checksum, "the replicas' checksums differ: ['1', '2']"),
        (started_twice, "a was started 2 times"),
        (known_twice, "Mesos knows a 2 times"),
        (forgotten_by_the_store, "b runs or ran, and the store has forgotten it"),
        (started_and_forgotten, "b runs or ran, and the store has forgotten it"),
        (unknown_to_mesos, "b is TASK_RUNNING in the store, and Mesos does not know it"),
        (other_state, "a is TASK_FAILED by Mesos, and TASK_FINISHED in the store"),
        (lost_update, "updates of a are lost: TASK_RUNNING"),
    ],
)
def test_difference_is_found(spoil: Callable[[dict[str, Any]], None], said: str) -> None:
    history = good()
    spoil(history)
    assert said in differences_of(History(**history))
