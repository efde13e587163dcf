"""``aurora-store schema``: what it shows, asks, refuses, and does."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from memory_stores import MemoryEnsemble
from release_stores import Releases, add, caught_up, standing, workers_of
from revision_files import BROKEN, FIRST, RACKS, ZONES, Step, write
from stores import spawn_store

from aurora_store import Store
from aurora_store.cli.commands import main
from aurora_store.control import ControlServer
from aurora_store.migrations import Standing
from aurora_store.status import State


def run(*arguments: str | Path) -> Result:
    """The command in this process, its output in a pipe."""
    return CliRunner().invoke(main, ["schema", *map(str, arguments)])


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


class Controlled:
    """Replicas that listen to control, each in a directory of its own."""

    def __init__(self, stack: ExitStack, releases: Releases, root: Path) -> None:
        self._stack = stack
        self._releases = releases
        self._root = root

    def open(self, *steps: Step) -> Store:
        return self.listen(self._releases.open(*steps))

    def listen(self, store: Store) -> Store:
        directory = self._root / f"log-of-{store.host}"
        directory.mkdir()
        store.log.directory = directory
        self._stack.callback(ControlServer(store).close)
        return store


@pytest.fixture
def controlled(releases: Releases, tmp_path: Path) -> Iterator[Controlled]:
    with ExitStack() as stack:
        yield Controlled(stack, releases, tmp_path)


# ---- downgrade ----


def test_a_downgrade_says_what_it_undid_and_the_leader_that_needs_it_steps_down(
    controlled: Controlled,
) -> None:
    new = controlled.open(FIRST, ZONES, RACKS)
    new.lead()
    result = run("downgrade", "farm_0001", "--yes", "--directory", new.log.directory)
    assert result.exit_code == 0, result.stderr
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == ["revision", "farm_0003", "farm_0002"]
    assert rows[1][1] == "Zones are racks" and rows[1][2].startswith("farm 3, aurora-store ")
    assert new.status().state is not State.LEADING
    assert standing(new) is Standing.REVERTED


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_without_a_terminal_nothing_is_undone_unless_yes_is_said(
    controlled: Controlled, options: list[str]
) -> None:
    store = controlled.open(FIRST, ZONES)
    store.lead()
    result = run("downgrade", "farm_0001", "--directory", store.log.directory, *options)
    assert result.exit_code == 2 and "--yes" in result.stderr
    assert standing(store) is Standing.CURRENT


@pytest.mark.parametrize(("answer", "undone"), [("n", False), ("y", True)])
def test_on_a_terminal_it_shows_what_would_be_undone_and_asks(
    controlled: Controlled, answer: str, undone: bool
) -> None:
    store = controlled.open(FIRST, ZONES)
    store.lead()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "aurora_store.cli", "schema", "downgrade", "farm_0001"]
    with subprocess.Popen(
        [*command, "--directory", store.log.directory],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        stdout, stderr = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "farm_0002\tWorkers have a zone" in stdout and "Undo these?" in stderr
    assert process.returncode == (0 if undone else 1)
    assert standing(store) is (Standing.REVERTED if undone else Standing.CURRENT)


def test_a_standby_refuses_and_says_where_the_leader_is_and_what_to_do_if_it_is_gone(
    controlled: Controlled,
) -> None:
    new = controlled.open(FIRST, ZONES, RACKS)
    new.lead()
    add(new, "a")
    old = caught_up(controlled.open(FIRST), new)
    where = ["--directory", str(old.log.directory)]
    refused = run("downgrade", "farm_0001", "--yes", *where)
    assert refused.exit_code == 13
    assert f"run the command on {new.host}" in refused.stderr
    assert (
        f"aurora-store schema downgrade farm_0001 --lead --directory {old.log.directory}"
        in refused.stderr
    )
    assert standing(new) is Standing.CURRENT
    new.close()
    assert run("downgrade", "farm_0001", "--lead", "--yes", *where).exit_code == 0
    assert old.status().state is State.LEADING
    assert workers_of(old) == ["a"]


@pytest.mark.parametrize(
    ("steps", "to", "words"),
    [
        ([FIRST, ZONES], "farm_0009", "has no revision farm_0009"),
        ([FIRST, ZONES], "farm_0002", "nothing in the database builds upon revision farm_0002"),
        (
            [FIRST, ("farm_0002", "For ever", "farm_0001", True, ["SELECT 1"], None)],
            "farm_0001",
            "cannot be undone",
        ),
    ],
    ids=["unknown", "newest", "no way back"],
)
def test_what_cannot_be_undone_is_refused_before_anybody_is_asked_or_deposed(
    controlled: Controlled, steps: list[Step], to: str, words: str
) -> None:
    leader = controlled.open(*steps)
    leader.lead()
    standby = caught_up(controlled.open(*steps), leader)
    for store, more in ((leader, []), (standby, ["--lead"])):
        result = run("downgrade", to, "--directory", store.log.directory, *more)
        assert result.exit_code == 38 and words in result.stderr
    assert leader.status().state is State.LEADING


def test_other_revisions_than_were_agreed_to_are_not_undone(controlled: Controlled) -> None:
    from aurora_store.control import ask
    from aurora_store.errors import MigrationFailed

    store = controlled.open(FIRST, ZONES, RACKS)
    store.lead()
    arguments = {"to": "farm_0001", "undo": ["farm_0002"]}
    with pytest.raises(MigrationFailed, match="farm_0003, farm_0002 would be undone by now"):
        ask(store.log.directory, "schema downgrade", arguments)
    assert standing(store) is Standing.CURRENT


def test_a_store_without_a_schema_says_so(controlled: Controlled, ensemble: MemoryEnsemble) -> None:
    store = controlled.listen(ensemble.open("plain"))
    store.lead()
    where = ["--directory", str(store.log.directory)]
    for result in (run("downgrade", "farm_0001", "--yes", *where), run("upgrade", *where)):
        assert result.exit_code == 38 and "without a schema" in result.stderr


def test_where_no_store_runs_there_is_nobody_to_ask(tmp_path: Path) -> None:
    where = ["--directory", str(tmp_path)]
    for result in (run("downgrade", "farm_0001", "--yes", *where), run("upgrade", *where)):
        assert result.exit_code == 28


# ---- upgrade ----


def test_an_older_leader_releases_what_was_undone_and_the_newer_one_applies_it(
    controlled: Controlled,
) -> None:
    new = controlled.open(FIRST, ZONES)
    new.lead()
    run("downgrade", "farm_0001", "--yes", "--directory", new.log.directory)
    old = caught_up(controlled.open(FIRST), new)
    old.lead()
    caught_up(new, old)
    refused = run("upgrade", "--directory", new.log.directory)
    assert refused.exit_code == 13 and f"run the command on {old.host}" in refused.stderr
    result = run("upgrade", "--directory", old.log.directory)
    assert result.stdout.splitlines() == ["step\trevision", "released\tfarm_0002"]
    assert "once a replica leads whose software knows it" in result.stderr
    caught_up(new, old).lead()
    assert standing(new) is Standing.CURRENT


def test_where_all_software_needs_what_was_undone_one_leads_to_apply_it_again(
    controlled: Controlled,
) -> None:
    new = controlled.open(FIRST, ZONES)
    new.lead()
    add(new, "a")
    run("downgrade", "farm_0001", "--yes", "--directory", new.log.directory)
    refused = run("upgrade", "--directory", new.log.directory)
    assert refused.exit_code == 13
    assert f"schema upgrade --lead --directory {new.log.directory}" in refused.stderr
    done = document(run("upgrade", "--lead", "--json", "--directory", new.log.directory))
    assert [each["revision"] for each in done["released"]] == ["farm_0002"]
    assert [each["revision"] for each in done["applied"]] == ["farm_0002"]
    assert new.status().state is State.LEADING
    assert workers_of(new) == ["a"]


def test_a_revision_that_fails_when_it_is_applied_again_stays_released(
    controlled: Controlled,
) -> None:
    new = controlled.open(FIRST, BROKEN)
    new.lead()  # there is no row yet that it cannot take
    where = ["--directory", str(new.log.directory)]
    assert run("downgrade", "farm_0001", "--yes", *where).exit_code == 0
    old = caught_up(controlled.open(FIRST), new)
    old.lead()
    add(old, "not a number")
    caught_up(new, old)
    failed = run("upgrade", "--lead", *where)
    assert failed.exit_code == 38 and "CHECK constraint failed" in failed.stderr
    assert new.status().state is not State.LEADING
    assert standing(new) is Standing.BEHIND, "it was released"


def test_an_upgrade_with_nothing_to_do_says_so(controlled: Controlled) -> None:
    store = controlled.open(FIRST)
    store.lead()
    result = run("upgrade", "--directory", store.log.directory)
    assert result.exit_code == 0
    assert "nothing was undone" in result.stderr
    assert document(run("upgrade", "--json", "--directory", store.log.directory)) == {
        "released": [],
        "applied": [],
    }


# ---- restore ----


def test_a_copy_that_the_leader_could_not_lead_with_is_not_committed_even_by_force(
    controlled: Controlled, tmp_path: Path
) -> None:
    new = controlled.open(FIRST, ZONES, RACKS)
    new.lead()
    new.backup(tmp_path / "new.db")
    new.downgrade("farm_0001")
    old = caught_up(controlled.open(FIRST), new)
    old.lead()
    add(old, "stays")
    where = ["--directory", str(old.log.directory)]
    stage = CliRunner().invoke(main, ["recovery", "stage", str(tmp_path / "new.db"), *where])
    assert stage.exit_code == 0, stage.stderr
    commit = CliRunner().invoke(main, ["recovery", "commit", "--force", *where])
    assert commit.exit_code == 37
    assert "farm_0003" in commit.stderr and "nothing was changed" in commit.stderr
    assert old.status().state is State.LEADING
    assert workers_of(old) == ["stays"]


# ---- show ----


def test_the_journal_is_shown_whether_the_replica_runs_or_not(
    workers: ExitStack, tmp_path: Path
) -> None:
    log, farm = tmp_path / "log", write(tmp_path / "farm", [FIRST, ZONES, RACKS])
    worker = spawn_store(workers, directory=str(log), revisions=str(farm), software="farm 3")
    worker.call("catch_up")
    worker.call("lead")
    running = document(run("show", log, "--json"))
    assert running["applied"] == ["farm_0001", "farm_0002", "farm_0003"]
    assert (running["store"]["standing"], running["store"]["state"]) == ("current", "leading")
    assert running["store"]["heads"] == ["farm_0003"]
    assert [each["can_be_undone"] for each in running["journal"]] == [False, True, True]
    assert [each["compatible"] for each in running["journal"]] == [True, True, False]

    assert run("downgrade", "farm_0002", "--yes", "--directory", log).exit_code == 0
    table = run("show", log).stdout.splitlines()
    assert table[0].split("\t")[:3] == ["number", "action", "revision"]
    assert table[4].split("\t")[:6] == ["4", "downgrade", "farm_0003", "Zones are racks", "no", ""]
    properties = dict(line.split("\t") for line in table[5:])
    assert properties["applied"] == "farm_0001, farm_0002"
    assert properties["undone"] == "farm_0003"
    assert properties["how it stands"].startswith("reverted: its software needs farm_0003")

    worker.call("close")
    stopped = document(run("show", log, "--json"))
    assert stopped["store"] is None
    assert stopped["undone"] == ["farm_0003"]


def test_a_log_whose_stores_have_no_schema_has_an_empty_journal(
    workers: ExitStack, tmp_path: Path
) -> None:
    worker = spawn_store(workers, directory=str(tmp_path / "log"))
    worker.call("catch_up")
    worker.call("lead")
    result = run("show", tmp_path / "log", "--json")
    shown = document(result)
    assert (shown["journal"], shown["applied"], shown["store"]) == ([], [], None)
    assert "without a schema" in result.stderr


def test_a_directory_without_a_log_is_said_to_have_none(tmp_path: Path) -> None:
    result = run("show", tmp_path)
    assert result.exit_code == 11


def test_the_log_tells_what_each_leader_s_software_knows(
    workers: ExitStack, tmp_path: Path
) -> None:
    log, farm = tmp_path / "log", write(tmp_path / "farm", [FIRST, ZONES])
    worker = spawn_store(workers, directory=str(log), revisions=str(farm))
    worker.call("catch_up")
    worker.call("lead")
    listed = CliRunner().invoke(main, ["log", "list", str(log), "--kind", "leader", "--json"])
    (entry,) = json.loads(listed.stdout)["entries"]
    assert entry["note"].endswith(", schema farm_0002")
    position = str(entry["position"])
    shown = CliRunner().invoke(main, ["log", "show", str(log), position, "--json"])
    assert json.loads(shown.stdout)["schema"] == "farm_0002"
