"""``aurora-store snapshot`` and ``truncate``, on a running store of the real log."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from harness import Worker, spawn
from upkept import Upkept

from aurora_store.cli.commands import main
from aurora_store.libmesos import fetch

_WORKER = Path(__file__).with_name("upkeep_worker.py")


@pytest.fixture
def leader(workers: ExitStack, tmp_path: Path) -> Worker:
    """A store of one replica without policies, leading."""
    worker = workers.enter_context(spawn(_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())}))
    worker.call("open_store", directory=str(tmp_path / "log"), snapshot_bytes=None, snapshots=None)
    worker.call("catch_up")
    worker.call("lead")
    worker.call("overwrite", times=3, kilobytes=64)
    return worker


def run(directory: Path, *arguments: str) -> Result:
    """The command in this process, its output in a pipe."""
    return CliRunner().invoke(main, [*arguments, "--directory", str(directory)])


def document(directory: Path, *arguments: str) -> Any:
    """What the command prints as JSON when it is well."""
    result = run(directory, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_snapshot_that_was_taken_is_listed_and_verified(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert document(log, "snapshot", "list") == {"snapshots": []}
    first = document(log, "snapshot", "now")
    second = document(log, "snapshot", "now")
    listed = document(log, "snapshot", "list")["snapshots"]
    assert [each["position"] for each in listed] == [second["position"], first["position"]]
    assert listed[0]["version"] == leader.call("status")["version"]
    verified = document(log, "snapshot", "verify")
    assert verified["position"] == second["position"]
    assert verified["checksum"] == listed[0]["checksum"]
    older = run(log, "snapshot", "verify", str(first["position"]))
    assert f"the snapshot at {first['position']} is what its checksum says" in older.stdout
    table = run(log, "snapshot", "list").stdout.splitlines()
    assert table[0].split("\t")[:3] == ["position", "time", "version"]
    assert table[1].split("\t")[0] == str(second["position"])


def test_what_is_no_snapshot_is_not_verified(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    none = run(log, "snapshot", "verify")
    assert none.exit_code == 36
    assert "holds no complete snapshot" in none.stderr
    document(log, "snapshot", "now")
    assert run(log, "snapshot", "verify", "2").exit_code == 36


def test_a_plan_changes_nothing_and_executing_it_truncates(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    empty = document(log, "truncate", "plan")
    assert (empty["positions"], empty["kept"]) == (0, [])
    assert "no complete snapshot" in empty["why"]
    taken = [document(log, "snapshot", "now")["position"] for _ in range(3)]
    plan = document(log, "truncate", "plan")
    assert plan["to"] == taken[-2]
    assert [each["position"] for each in plan["kept"]] == [taken[-1], taken[-2]]
    assert leader.call("upkeep")["log_beginning"] == 0
    done = document(log, "truncate", "execute", "--yes")
    assert (done["to"], done["positions"]) == (taken[-2], taken[-2])
    assert document(log, "truncate", "plan")["beginning"] == taken[-2]
    again = run(log, "truncate", "execute", "--yes")
    assert again.exit_code == 0
    assert "nothing to truncate: all stays" in again.stdout


def test_hours_of_history_stay(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(3):
        document(log, "snapshot", "now")
    plan = document(log, "truncate", "plan", "--hours", "1", "--snapshots", "1")
    assert plan["positions"] == 0
    assert len(plan["kept"]) == 3
    assert "1:00:00 of history" in plan["why"]


def test_truncating_wants_a_yes(leader: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        document(log, "snapshot", "now")
    refused = run(log, "truncate", "execute", "--snapshots", "1")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert document(log, "truncate", "plan")["beginning"] == 0


def test_a_replica_that_does_not_lead_names_the_leader(upkept: Any, tmp_path: Path) -> None:
    cluster: Upkept = upkept(snapshot_bytes=None, snapshots=None)
    cluster.replicas[0].call("overwrite", times=1, kilobytes=1)
    taken = document(tmp_path / "0", "snapshot", "now")
    cluster.agree(leader=0)
    standby = tmp_path / "1"
    for arguments in (("snapshot", "now"), ("truncate", "execute", "--yes")):
        refused = run(standby, *arguments)
        assert refused.exit_code == 13
        assert "replica-0" in refused.stderr
    # What only reads works on any replica.
    assert document(standby, "snapshot", "list")["snapshots"][0]["position"] == taken["position"]
    document(standby, "snapshot", "verify")
    document(standby, "truncate", "plan")


@pytest.mark.parametrize(
    "arguments",
    [
        ("snapshot", "now"),
        ("snapshot", "list"),
        ("snapshot", "verify"),
        ("truncate", "plan"),
        ("truncate", "execute", "--yes"),
    ],
    ids=" ".join,
)
def test_where_no_store_runs_it_is_said(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = run(tmp_path, *arguments)
    assert result.exit_code == 28
    assert "no store that can be controlled runs" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("snapshot", "now"),
        ("snapshot", "list"),
        ("snapshot", "verify"),
        ("truncate", "plan"),
        ("truncate", "execute"),
    ],
    ids=" ".join,
)
def test_help_has_an_example(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*arguments, "--help"])
    assert f"aurora-store {' '.join(arguments)} --directory" in result.stdout
