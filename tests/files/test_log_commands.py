"""``aurora-store log`` on real directories, whole and damaged ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import xxhash
from click.testing import CliRunner, Result
from directories import batch, fingerprint, flip, make_database, newest, spawn_log, spawn_store
from harness import Worker

from aurora_store.cli.commands import main
from aurora_store.cli.log.list import KINDS
from aurora_store.inspection.listing import row_of
from aurora_store.libmesos import fetch
from aurora_store.log.files import Action, ReplicaDirectory
from aurora_store.log.files import Kind as ActionKind
from aurora_store.record import Kind, read_record

_GOLDEN = Path(__file__).parents[1] / "golden" / "log-format-v1"


def _run(*arguments: str | Path | int, code: int = 0) -> Result:
    ran = CliRunner().invoke(main, ["log", *map(str, arguments)])
    assert ran.exit_code == code, ran.output
    return ran


def _json(*arguments: str | Path | int, code: int = 0) -> Any:
    return json.loads(_run(*arguments, "--json", code=code).stdout)


def _entries(directory: Path) -> list[bytes]:
    return [
        action.data
        for action in ReplicaDirectory.read(directory).entries()
        if action.kind is ActionKind.APPEND
    ]


def _log_of(directory: Path, entries: list[bytes]) -> Path:
    """A real log with these entries."""
    with ExitStack() as stack:
        worker = spawn_log(stack, directory=str(directory))
        worker.call("elect")
        for entry in entries:
            worker.call("append_hex", data=entry.hex())
        worker.call("close")
    return directory


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a store: two reigns with ten transactions each."""
    directory = tmp_path_factory.mktemp("few") / "log"
    with ExitStack() as stack:
        worker = spawn_store(stack, directory)
        worker.call("write", count=10)
        worker.call("lead_again")
        worker.call("write", count=10)
        worker.call("close")
    return directory


@pytest.fixture(scope="session")
def snapshotted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a store with two snapshots, truncated before the first one."""
    directory = tmp_path_factory.mktemp("snapshotted") / "log"
    with ExitStack() as stack:
        worker = spawn_store(stack, directory)
        worker.call("write", count=200, size=3000)
        first = worker.call("snapshot")
        worker.call("write", count=50)
        worker.call("truncate", to=first)
        worker.call("snapshot")
        worker.call("write", count=50)
        deadline = time.monotonic() + 60.0
        while worker.call("newest_snapshot") <= first:
            assert time.monotonic() < deadline
            worker.call("write", count=5)
        worker.call("close")
    return directory


# ---- list ----


def test_list_has_a_row_for_each_position(few: Path) -> None:
    before = fingerprint(few)
    lines = [line.split("\t") for line in _run("list", few).stdout.splitlines()]
    header, rows = lines[0], [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    assert header[:4] == ["position", "kind", "epoch", "versions"]
    assert [int(row["position"]) for row in rows] == list(range(len(rows)))
    assert [row["epoch"] for row in rows if row["kind"] == "leader"] == ["1", "2"]
    batches = [row for row in rows if row["kind"] == "batch"]
    assert [row["versions"] for row in batches] == [str(number) for number in range(1, 22)]
    assert all(int(row["pages"]) and int(row["bytes"]) > 80 for row in batches)
    assert rows[1][""].startswith("scheduler-1, aurora-store ")
    assert fingerprint(few) == before


def test_list_shows_a_range_a_kind_and_a_number_of_rows(few: Path) -> None:
    rows = _json("list", few)["entries"]
    assert _json("list", few, "--from", "0000000003", "--to", 5)["entries"] == rows[3:6]
    leaders = [row for row in rows if row["kind"] == "leader"]
    assert _json("list", few, "--kind", "leader") == {"entries": leaders, "next": None}
    assert _json("list", few, "--limit", 2) == {"entries": rows[:2], "next": 2}
    assert _json("list", few, "--limit", 0)["entries"] == rows
    assert "There are more: --from 2, or" in _run("list", few, "--limit", 2).stderr


def test_list_goes_past_damage_and_says_so(copy: Path) -> None:
    table = newest(copy, "*.ldb")
    flip(table, 100_000)
    ran = _run("list", copy, "--limit", 0, code=3)
    assert len(ran.stdout.splitlines()) > 1990
    assert f"1 damages were passed over; the first one is {table.name} at byte" in ran.stderr


def test_list_knows_every_kind(few: Path) -> None:
    assert {kind.label for kind in Kind} <= set(KINDS)
    assert {kind.value for kind in ActionKind} - {"append"} <= set(KINDS)


def test_a_position_that_is_none_is_wrong_usage(few: Path) -> None:
    assert "a log position is a decimal number" in _run("list", few, "--from", "x", code=2).output


# ---- verify ----


def test_verify_finds_a_whole_log_whole(written: Path, few: Path) -> None:
    for directory in (written, few):
        before = fingerprint(directory)
        report = _json("verify", directory)
        assert report["ok"]
        assert (report["begin"], report["holes"], report["unlearned"]) == (0, [], [])
        assert (report["damages"], report["corrupt"]["count"]) == ([], 0)
        assert report["entries"] == len(_entries(directory))
        assert "no damage" in _run("verify", directory).stdout
        assert fingerprint(directory) == before


@pytest.mark.parametrize("kind", ["*.ldb", "*.log", "MANIFEST-*", "CURRENT"])
def test_verify_finds_a_flipped_bit_in_every_kind_of_file(copy: Path, kind: str) -> None:
    path = newest(copy, kind)
    flip(path, path.stat().st_size // 2)
    before = fingerprint(copy)
    report = _json("verify", copy, code=3)
    assert not report["ok"]
    assert {damage["file"] for damage in report["damages"]} == {path.name}
    assert f"Error: {path.name}" in _run("verify", copy, code=3).stderr
    assert fingerprint(copy) == before


def test_verify_reports_every_damage_not_the_first_one(copy: Path) -> None:
    tables = sorted(copy.glob("*.ldb"))
    flip(tables[0], 50_000)
    flip(tables[0], 200_000)
    tables[-1].unlink()
    report = _json("verify", copy, code=3)
    found = [(damage["file"], damage["what"]) for damage in report["damages"]]
    assert len([name for name, _ in found if name == tables[0].name]) == 2
    assert (tables[-1].name, "the file is missing") in found
    lost = {p for hole in report["holes"] for p in range(hole[0], hole[1] + 1)}
    said = {
        p
        for damage in report["damages"]
        for p in range(damage["positions"][0], damage["positions"][1] + 1)
    }
    assert lost and lost <= said


def test_verify_tells_anothers_log_by_its_first_position(log: Worker, tmp_path: Path) -> None:
    for text in ("", "of a", "registrar"):
        log.call("append", data=text)
    report = _json("verify", tmp_path / "log", code=3)
    assert report["foreign_log"]
    assert [each["position"] for each in report["foreign"]["listed"]] == [1, 2, 3]
    assert report["damages"] == []
    ran = _run("verify", tmp_path / "log", code=3)
    assert "this is the log of another application: none of its 3 entries" in ran.stderr
    assert "the first one is at position 1" in ran.stderr


def test_verify_names_the_foreign_entry_in_a_stores_log(few: Path, tmp_path: Path) -> None:
    entries = _entries(few)
    mixed = _log_of(tmp_path / "mixed", [*entries[:5], b"not ours", *entries[5:]])
    report = _json("verify", mixed, code=3)
    assert not report["foreign_log"]
    assert [each["position"] for each in report["foreign"]["listed"]] == [6]
    assert report["order"]["count"] == 0
    assert "Error: position 6: " in _run("verify", mixed, code=3).stderr
    assert _json("list", mixed, "--kind", "foreign")["entries"][0]["position"] == 6


def test_verify_finds_entries_that_do_not_follow_each_other(few: Path, tmp_path: Path) -> None:
    entries = _entries(few)
    without_one = _log_of(tmp_path / "without", [*entries[:5], *entries[6:]])
    (finding,) = _json("verify", without_one, code=3)["order"]["listed"]
    assert finding["position"] == 6
    assert "it is for version 6, on version 4" in finding["what"]
    second = _json("list", few, "--kind", "leader")["entries"][1]["position"]
    without_leader = _log_of(tmp_path / "leader", entries[: second - 1] + entries[second:])
    findings = _json("verify", without_leader, code=3)["order"]["listed"]
    assert any("it is of epoch 2, in epoch 1" in each["what"] for each in findings)
    twice = _log_of(tmp_path / "twice", [*entries, entries[0]])
    (finding,) = _json("verify", twice, code=3)["order"]["listed"]
    assert "a leader of epoch 1 after epoch 2" in finding["what"]


def test_verify_finds_a_corrupt_entry_in_whole_files(few: Path, tmp_path: Path) -> None:
    entries = _entries(few)
    bad = bytearray(entries[4])
    bad[90] ^= 1
    log = _log_of(tmp_path / "bad", [*entries[:4], bytes(bad), *entries[5:]])
    report = _json("verify", log, code=3)
    assert [each["position"] for each in report["corrupt"]["listed"]] == [5]
    assert report["damages"] == []
    assert report["order"]["count"] == 0, "what comes behind damage is not held against it"


def test_verify_says_that_an_entry_is_of_a_newer_release(few: Path, tmp_path: Path) -> None:
    entries = _entries(few)
    newer = bytearray(entries[-1])
    newer[4] = 200  # the format version
    newer[-8:] = xxhash.xxh3_64_intdigest(bytes(newer[:-8])).to_bytes(8, "little")
    log = _log_of(tmp_path / "newer", [*entries[:-1], bytes(newer)])
    report = _json("verify", log, code=19)
    assert [each["position"] for each in report["too_new"]["listed"]] == [len(entries)]
    assert not report["ok"]


def test_verify_takes_a_write_that_a_crash_cut_short_for_none(copy: Path) -> None:
    log = newest(copy, "*.log")
    log.write_bytes(log.read_bytes()[:-9])
    report = _json("verify", copy)
    assert report["ok"]
    assert report["torn"]["file"] == log.name


def test_snapshots_between_the_transactions_are_in_order(snapshotted: Path) -> None:
    report = _json("verify", snapshotted)
    assert report["ok"]
    assert report["begin"] > 0
    rows = _json("list", snapshotted, "--limit", 0)["entries"]
    begins = [row["position"] for row in rows if row["kind"] == "snapshot_begin"]
    assert len(begins) == 2
    assert rows[-1]["snapshot"] == begins[1]


def test_a_log_that_begins_with_a_snapshot_may_be_the_rest_of_another(
    snapshotted: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "aurora_store.cli", "log", "rewrite"]
    subprocess.run(
        [*command, str(snapshotted), str(tmp_path / "new")],
        check=True,
        timeout=60.0,
        env={**os.environ, "AURORA_STORE_LIBMESOS": str(fetch())},
    )
    report = _json("verify", tmp_path / "new")
    assert report["ok"]
    assert (report["begin"], report["order"]["count"]) == (0, 0)


def test_verify_finds_a_snapshot_that_lacks_a_chunk(snapshotted: Path, tmp_path: Path) -> None:
    """The copy's positions are others, so the begin that entries name does not fit either."""
    entries = _entries(snapshotted)
    chunk = next(
        number
        for number, entry in enumerate(entries)
        if read_record(entry).kind is Kind.SNAPSHOT_CHUNK and read_record(entry).part == 1
    )
    log = _log_of(tmp_path / "log", [*entries[:chunk], *entries[chunk + 1 :]])
    findings = _json("verify", log, code=3)["order"]["listed"]
    assert any("where chunk 1 was due" in each["what"] for each in findings)


# ---- what is no log ----


@pytest.mark.parametrize("command", ["list", "verify", "stat", "tail"])
def test_every_command_says_what_to_try_where_there_is_no_log(command: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make_database(tmp_path / "other", batch(1, apple=b"1"))
    for name, said in (
        ("missing", "there is no directory"),
        ("empty", "it is empty"),
        ("other", "no log of Mesos"),
    ):
        ran = _run(command, tmp_path / name, code=11)
        assert ran.stderr.startswith("Error: ") and said in ran.stderr
        assert "\nTry: name the directory of a replica" in ran.stderr
        assert ran.stdout == ""
        error = json.loads(_run(command, tmp_path / name, "--json", code=11).stderr)
        assert (error["code"], error["name"]) == (11, "LogUnavailable")
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize("command", ["list", "verify", "stat", "tail"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"aurora-store log {command} " in _run(command, "--help").stdout


# ---- stat ----


def test_stat_counts_every_byte(written: Path) -> None:
    before = fingerprint(written)
    found = _json("stat", written)
    entries = _entries(written)
    assert found["entry_bytes"] == sum(map(len, entries))
    assert found["kinds"]["batch"]["entries"] >= 2000
    assert found["transactions"] == 2001
    assert found["disk_bytes"] > found["entry_bytes"]
    sizes = [large["bytes"] for large in found["biggest"]]
    assert sizes == sorted(map(len, entries))[::-1][: len(sizes)]
    buckets = found["rates"]["buckets"]
    counted = sum(each["transactions_per_s"] for each in buckets) * found["rates"]["seconds"]
    assert round(counted) == 2001
    assert len(buckets) <= 60
    assert fingerprint(written) == before


def test_stat_tells_the_tables_apart(written: Path) -> None:
    tables = _json("stat", written, "--tables")["tables"]
    assert tables["task"] > 2000 * 2500
    assert 0 < tables["host"] < tables["(schema)"] + 10_000
    assert tables["task"] / sum(tables.values()) > 0.98


def test_stat_tells_the_tables_of_a_log_that_begins_with_a_snapshot(snapshotted: Path) -> None:
    """The snapshots themselves change nothing."""
    tables = _json("stat", snapshotted, "--tables")["tables"]
    assert set(tables) <= {"task", "(schema)"}
    assert 0 < sum(tables.values()) < 200 * 3000


def test_stat_cannot_tell_tables_of_a_damaged_log(copy: Path) -> None:
    min(copy.glob("*.ldb")).unlink()
    ran = _run("stat", copy, "--tables", code=3)
    assert "Error: positions 0 to " in ran.stderr
    _run("stat", copy, code=3)


def test_stat_draws_a_plot(few: Path, tmp_path: Path) -> None:
    ran = _run("stat", few, "--plot", tmp_path / "rates.png")
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert "▁" in ran.stdout or "█" in ran.stdout


def test_a_plot_without_matplotlib_says_what_to_install(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    ran = _run("stat", few, "--plot", tmp_path / "rates.png", code=1)
    assert 'Try: pip install "aurora-store[plot]"' in ran.stderr
    assert not (tmp_path / "rates.png").exists()


def test_a_plot_that_cannot_be_written_says_so(few: Path, tmp_path: Path) -> None:
    ran = _run("stat", few, "--plot", tmp_path / "missing" / "rates.png", code=1)
    assert "rates.png: No such file or directory\n" in ran.stderr


# ---- tail ----


def test_tail_shows_the_newest_positions(written: Path) -> None:
    rows = _json("list", written, "--limit", 0)["entries"]
    shown = _run("tail", written, "--lines", 4, "--json").stdout.splitlines()
    assert [json.loads(line) for line in shown] == rows[-4:]
    assert len(_run("tail", written).stdout.splitlines()) == 11


def test_for_without_follow_is_wrong_usage(written: Path) -> None:
    _run("tail", written, "--for", 1, code=2)


def _follow(directory: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "aurora_store.cli", "log", "tail", str(directory)]
    return subprocess.Popen(
        [*command, "--follow", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_tail_follows_a_running_replica_until_interrupted(
    workers: ExitStack, tmp_path: Path
) -> None:
    store = spawn_store(workers, tmp_path / "log")
    last = store.call("write", count=3)
    with _follow(tmp_path / "log", "--lines", "1") as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["position"] >= last
        wanted = store.call("write", count=5)
        positions = [last]
        while positions[-1] < wanted:
            positions.append(json.loads(following.stdout.readline())["position"])
        assert positions[1:] == list(range(positions[1], positions[-1] + 1))
        following.send_signal(signal.SIGINT)
        _, errors = following.communicate(timeout=30.0)
        assert (following.returncode, errors) == (0, "")


def test_tail_ends_when_its_time_is_over(few: Path) -> None:
    with _follow(few, "--for", "0.5") as following:
        lines, _ = following.communicate(timeout=30.0)
    assert following.returncode == 0
    assert len(lines.splitlines()) == 10


@pytest.mark.parametrize("lines", [3, 2000], ids=["before what is shown", "among it"])
def test_tail_says_what_is_damaged_and_shows_the_rest(copy: Path, lines: int) -> None:
    table = min(copy.glob("*.ldb"))
    flip(table, 100_000)
    ran = _run("tail", copy, "--lines", lines, "--json", code=3)
    assert ran.stderr.count(f"the first one is {table.name} at byte") == 1
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert rows[-1]["position"] == ReplicaDirectory.read(copy).last_position()
    assert ("missing" in {row["kind"] for row in rows}) == (lines == 2000)


def test_tail_says_that_an_old_position_is_damaged_while_it_follows(
    workers: ExitStack, copy: Path
) -> None:
    """Whoever follows for days must not learn it at the end."""
    flip(min(copy.glob("*.ldb")), 100_000)
    with _follow(copy, "--lines", "1") as following:
        assert following.stdout is not None and following.stderr is not None
        json.loads(following.stdout.readline())
        assert "damages were passed over" in following.stderr.readline()
        following.send_signal(signal.SIGINT)
        _, errors = following.communicate(timeout=30.0)
        assert (following.returncode, errors) == (3, "")


def test_tail_passes_over_what_the_replica_lacks_and_says_so(copy: Path) -> None:
    """A block of a table is damaged: what follows is shown after a moment."""
    flip(min(copy.glob("*.ldb")), 100_000)
    state = ReplicaDirectory.read(copy).state()
    (hole,) = state.holes
    began = time.monotonic()
    lines = str(state.end - hole[0] + 5) if state.end else ""
    with _follow(copy, "--lines", lines, "--for", "6") as following:
        shown = [json.loads(line) for line in following.communicate(timeout=60.0)[0].splitlines()]
    assert time.monotonic() - began >= 6.0
    kinds = {row["position"]: row["kind"] for row in shown}
    assert kinds[hole[0]] == "missing"
    assert max(kinds) == state.end


# ---- every kind of entry ----


@pytest.mark.parametrize("path", sorted(_GOLDEN.glob("*.bin")), ids=lambda path: path.stem)
def test_every_kind_of_entry_makes_a_row(path: Path) -> None:
    """The golden entries of docs/log-format.md, whose files begin with the kind."""
    row = row_of(Action(7, ActionKind.APPEND, True, path.read_bytes()))
    assert row.record is not None
    assert row.kind == row.record.kind.label
    assert path.stem.replace("-", "_").startswith(row.kind)
    assert (row.pages is None) == (not row.record.kind.holds_pages)
    assert row.pages != 0
    assert bool(row.note) == (row.kind in ("leader", "snapshot_begin"))
