"""``aurora-store demo``, run as its users do: real processes, a real kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aurora_store.demo import trace as traces
from aurora_store.demo.ledger import Ledger, differences_of

LIMIT = 120.0
REAL_TRACE = Path(__file__).parents[3] / "shared" / "data" / "openb"
NODES = "sn,cpu_milli,memory_mib,gpu,model\nn-0,32000,262144,0,\nn-1,96000,393216,8,G2\n"
PODS = """\
name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p-0,12000,16384,1,1000,,LS,Running,0,900,0
p-1,6000,12288,1,460,,LS,Succeeded,10,700,12
p-2,999000,12288,8,1000,,BE,Failed,20,800,25
p-3,6000,12288,0,0,,BE,Pending,30,600,
"""


def demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command."""
    command = [sys.executable, "-m", "aurora_store.cli", "demo", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=env)


def document(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON document of a run in which everything held."""
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    assert answer["ok"]
    assert answer["differences"] == []
    assert answer["acknowledged"] == answer["events"]
    replicas = answer["replicas"]
    assert len(replicas) == 3
    assert len({replica["checksum"] for replica in replicas}) == 1
    assert [replica["state"] for replica in replicas] == ["standby", "leading", "standby"]
    for replica in replicas:
        assert replica["checksum"] == replica["recomputed"]
        assert replica["rows"] == {
            "host": answer["hosts"],
            "task": answer["tasks"],
            "task_event": answer["events"],
        }
    return answer


def test_nothing_is_lost_when_the_leader_is_killed() -> None:
    answer = document(demo("--tasks", "150", "--json"))
    assert answer["tasks"] == 150
    assert answer["events"] / 2 <= answer["acknowledged_before_kill"] + 1 < answer["events"]
    takeover = answer["takeover_ms"]
    steps = {"detection", "election", "catch_up", "leader_entry", "first_commit"}
    assert set(takeover) == steps | {"total"}
    assert all(value >= 0 for value in takeover.values())
    assert takeover["total"] == pytest.approx(sum(takeover[step] for step in steps), abs=0.01)
    assert answer["commits_per_s"]["before"] > 0
    assert answer["commits_per_s"]["after"] > 0


def test_trace_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text(NODES)
    (tmp_path / "pods.csv").write_text(PODS)
    data = tmp_path / "data"
    answer = document(demo("--trace", str(tmp_path), "--directory", str(data), "--json"))
    assert (answer["hosts"], answer["tasks"], answer["events"]) == (2, 4, 11)
    kept = sorted(path.name for path in data.iterdir())
    assert kept == ["replica-1", "replica-2", "replica-3"]

    again = demo("--trace", str(tmp_path), "--directory", str(data))
    assert again.returncode == 1
    assert "not empty" in again.stderr


def test_real_trace() -> None:
    if not (REAL_TRACE / "pods.csv").exists():
        pytest.skip("the real trace is not there: ../shared/data/openb from the project's root")
    answer = document(demo("--trace", str(REAL_TRACE), "--tasks", "200", "--json"))
    assert (answer["hosts"], answer["tasks"]) == (1523, 200)


def test_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    result = demo("--trace", str(tmp_path / "none"))
    assert result.returncode == 2
    assert "does not exist" in result.stderr
    assert "Traceback" not in result.stderr


def test_replica_that_cannot_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    missing = str(tmp_path / "libmesos.so")
    result = demo("--tasks", "10", AURORA_STORE_LIBMESOS=missing)
    assert result.returncode == 1
    assert "replica 1 ended during 'wait_caught_up'" in result.stderr
    assert f"LibmesosNotFound: libmesos {missing}" in result.stderr
    assert "Traceback" not in result.stderr


def inspected(name: str, **changes: Any) -> dict[str, Any]:
    """What a replica with three events and two hosts tells, but for the changes."""
    return {
        "name": name,
        "events": [0, 1, 2],
        "rows": {"host": 2, "task": 1, "task_event": 3},
        "wrong_accounts": 0,
        "checksum": "aa",
        "recomputed": "aa",
        "kept": "aa",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"events": [0, 2]}, "second lacks 1 acknowledged events: [1]"),
        ({"events": [0, 1, 2, 7]}, "second has 1 events of nobody's: [7]"),
        ({"events": [0, 1, 1, 2]}, "second has events more than once"),
        ({"rows": {"host": 1}}, "second has 1 of 2 hosts"),
        ({"wrong_accounts": 1}, "second has 1 hosts with wrong accounts"),
        ({"recomputed": "bb"}, "second's pages do not match its checksum"),
        ({"checksum": "bb", "recomputed": "bb", "kept": "bb"}, "the checksums differ: aa, bb"),
    ],
)
def test_what_differs_is_found(changes: dict[str, Any], complaint: str) -> None:
    ledger = Ledger(kill_count=1)
    ledger.add({"acknowledged": [0, 1]})
    ledger.add({"found": [2]})
    assert differences_of(ledger, 3, 2, [inspected("first"), inspected("second")]) == []
    replicas = [inspected("first"), inspected("second", **changes)]
    assert differences_of(ledger, 3, 2, replicas) == [complaint]


def test_event_that_nobody_acknowledged_is_a_difference() -> None:
    ledger = Ledger(kill_count=1)
    ledger.add({"acknowledged": [0, 1], "unknown": [2]})
    found = differences_of(ledger, 3, 2, [inspected("first")])
    assert found == ["2 of 3 events were acknowledged"]


@pytest.mark.parametrize(
    ("nodes", "pods", "complaint"),
    [
        (NODES, None, "cannot read"),
        (NODES, "name\np-0\n", "has no column cpu_milli"),
        (NODES, PODS.replace("12000", "many"), "'many' where a number belongs"),
        (NODES.splitlines()[0], PODS, "needs a host"),
    ],
)
def test_files_that_cannot_be_understood(
    tmp_path: Path, nodes: str, pods: str | None, complaint: str
) -> None:
    (tmp_path / "nodes.csv").write_text(nodes)
    if pods is not None:
        (tmp_path / "pods.csv").write_text(pods)
    with pytest.raises(traces.TraceError, match=complaint):
        traces.read(tmp_path)


def test_generated_trace_is_the_same_every_time() -> None:
    trace = traces.generate(50)
    assert trace == traces.generate(50)
    assert len(trace.hosts) == 1523
    assert [event.id for event in trace.events] == list(range(len(trace.events)))
    by_task: dict[int, list[str]] = {}
    for event in trace.events:
        by_task.setdefault(event.task.id, []).append(event.kind)
    order = [traces.CREATED, traces.SCHEDULED, traces.FINISHED]
    assert all(kinds == [kind for kind in order if kind in kinds] for kinds in by_task.values())
