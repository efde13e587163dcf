"""What each release has left behind is read, migrated and looked at by the software of today."""

from __future__ import annotations

import json
import tarfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import golden_schema
import pytest
from click.testing import CliRunner
from harness import Worker, spawn
from write_release import RELEASES, write_release

from aurora_store import events, models
from aurora_store.cli.commands import main
from aurora_store.inspection.listing import DAMAGED, FOREIGN, TOO_NEW
from aurora_store.libmesos import fetch
from aurora_store.migrations import Schema

_WORKER = Path(__file__).with_name("golden_worker.py")
_VERSIONS = sorted(path.name for path in RELEASES.iterdir())


@pytest.fixture(params=_VERSIONS)
def release(request: pytest.FixtureRequest) -> Path:
    """The directory of a release."""
    return RELEASES / str(request.param)


@pytest.fixture
def log(release: Path, tmp_path: Path) -> Path:
    """The directory of its store, which nobody has open."""
    with tarfile.open(release / "log.tar.xz") as tar:
        for member in tar:
            name = Path(member.name).name
            content = tar.extractfile(member)
            assert content is not None, name
            (tmp_path / "log").mkdir(exist_ok=True)
            (tmp_path / "log" / name).write_bytes(content.read())
    return tmp_path / "log"


@pytest.fixture
def leader(workers: ExitStack, log: Path) -> Worker:
    """The software of today, which leads and has migrated the release's database."""
    worker = started(workers)
    worker.call("lead", directory=str(log))
    return worker


def started(workers: ExitStack) -> Worker:
    """A process of the software of today."""
    return workers.enter_context(spawn(_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())}))


def contents(release: Path) -> dict[str, Any]:
    """What the release has read from its store."""
    found: dict[str, Any] = json.loads((release / "contents.json").read_text("utf-8"))
    return found


def keeps(was: Any, now: Any, where: str = "") -> None:
    """Asserts that nothing is lost or changed; later releases may know more of a thing."""
    if isinstance(was, dict):
        assert isinstance(now, dict), where
        for key, value in was.items():
            assert key in now, f"{where}/{key} is gone"
            keeps(value, now[key], f"{where}/{key}")
    elif isinstance(was, list):
        assert isinstance(now, list), where
        assert len(was) == len(now), where
        for number, (old, new) in enumerate(zip(was, now, strict=True)):
            keeps(old, new, f"{where}/{number}")
    else:
        assert was == now, where


def _run(*arguments: str | Path | int) -> str:
    ran = CliRunner().invoke(main, ["log", *map(str, arguments)])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_all_that_a_release_has_written_is_read_and_understood(
    release: Path, leader: Worker
) -> None:
    was = contents(release)
    keeps(was, leader.call("read", tokens=list(was["tokens"])))


def test_a_token_of_a_release_is_not_used_twice(release: Path, leader: Worker) -> None:
    refusals = {"committed": "AlreadyCommitted", "not_committed": "TokenRefused"}
    tokens = contents(release)["tokens"]
    assert set(tokens.values()) == set(refusals), "there is one of each"
    for token, outcome in tokens.items():
        assert leader.call("use_again", token=token) == refusals[outcome]


def test_a_releases_database_is_migrated_to_the_schema_of_today(leader: Worker) -> None:
    assert leader.call("standing") == "current"
    today = {each.id for each in Schema(models.REVISIONS, events.REVISIONS).revisions}
    assert set(leader.call("applied")) == today


def test_the_log_of_a_release_is_looked_at_offline(log: Path) -> None:
    rows = json.loads(_run("list", log, "--limit", 0, "--json"))["entries"]
    assert not {row["kind"] for row in rows} & {FOREIGN, DAMAGED, TOO_NEW}
    assert json.loads(_run("verify", log, "--json"))["ok"]
    assert "task" in json.loads(_run("stat", log, "--tables", "--json"))["tables"]
    for row in rows:
        shown = _run("show", log, row["position"])
        assert row["kind"] in shown


def test_a_revision_that_was_released_makes_the_same_for_ever(release: Path) -> None:
    released = golden_schema.parse((release / "schema.sql").read_text("utf-8"))
    assert released
    now = golden_schema.current()
    for name, made in released.items():
        assert now.get(name) == made, f"{name} was released: what changes it is another revision"


def test_what_the_software_of_today_leaves_behind_is_read_as_well(
    workers: ExitStack, tmp_path: Path
) -> None:
    log = str(tmp_path / "log")
    written = started(workers).call("write", directory=log)
    reader = started(workers)
    reader.call("lead", directory=log)
    assert reader.call("read", tokens=list(written["tokens"])) == written


def test_a_release_is_never_written_again(tmp_path: Path) -> None:
    (tmp_path / "1.0").mkdir()
    with pytest.raises(FileExistsError):
        write_release("1.0", tmp_path)
    assert list((tmp_path / "1.0").iterdir()) == []
