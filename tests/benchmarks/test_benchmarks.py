"""``python -m benchmarks`` measures what it promises, and the page is made from its document."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import page, rivals, targets
from benchmarks.rivals import servers
from benchmarks.settings import Settings

_ROOT = Path(__file__).parents[2]
_BENCHMARKS = {
    "raw-append",
    "commits",
    "rivals",
    "log-bytes",
    "takeover",
    "cold-start",
    "upkeep",
    "streaming",
    "point-reads",
    "status-updates",
    "framework-takeover",
    "aurora-storage",
    "aurora-footprint",
    "memory-log",
}


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """The document, what was printed, and the directory that the run could use."""
    directory = tmp_path_factory.mktemp("bench")
    document = directory / "results" / "found.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(document)]
    ended = subprocess.run(
        [*command, "--directory", str(directory / "logs")],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(document.read_text()), ended.stdout, directory


def test_quick_run_measures_everything(quick_run: tuple[dict[str, Any], str, Path]) -> None:
    document, printed, directory = quick_run
    assert {"cores", "cpu", "kernel", "date"} <= document["machine"].keys()
    assert document["settings"]["quick"] is True
    assert document["benchmarks"].keys() == _BENCHMARKS
    for name, found in document["benchmarks"].items():
        assert found["rows"], name
        for row in found["rows"]:
            if "count" in row:
                assert row["count"] > 0, (name, row)
    assert "Targets" in printed
    assert not list((directory / "logs").iterdir())  # the logs were removed


def test_rivals_are_measured_or_named(quick_run: tuple[dict[str, Any], str, Path]) -> None:
    document, printed, _ = quick_run
    rows = document["benchmarks"]["rivals"]["rows"]
    assert {row["system"] for row in rows} - {"aurora-store"} == {"etcd", "PostgreSQL", "zxlite"}
    for row in rows:
        if "left_out" in row:
            assert f"left out: {row['system']}: {row['left_out']}" in printed


def test_rivals_that_are_missing_or_do_not_start_say_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(directory: Path, stack: contextlib.ExitStack) -> list[Any]:
        raise RuntimeError("Traceback:\n  a line of code\nRuntimeError: the port is taken")

    found = {"absent": (lambda: "apt-get install absent", fail), "broken": (lambda: "", fail)}
    monkeypatch.setattr(rivals, "RIVALS", found)
    assert rivals.run(Settings(tmp_path, quick=True)) == [
        {"system": "absent", "left_out": "apt-get install absent"},
        {"system": "broken", "left_out": "does not start: RuntimeError: the port is taken"},
    ]


def test_a_rivals_server_ends_with_the_benchmark(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        command = [
            sys.executable,
            "-c",
            "import os, time; print(os.getpid(), flush=True); time.sleep(600)",
        ]
        servers.serve(stack, command, tmp_path, "server")
        servers.wait_until(lambda: (tmp_path / "server.log").read_text().strip() != "", "a server")
        process = Path("/proc", (tmp_path / "server.log").read_text().strip())
        assert process.exists()
    assert not process.exists()


def test_targets_come_from_the_rows(quick_run: tuple[dict[str, Any], str, Path]) -> None:
    document, _, _ = quick_run
    assert document["targets"] == targets.compute(document["benchmarks"])
    assert {row["met"] for row in document["targets"]} <= {"yes", "no", "unclear"}


@pytest.mark.parametrize(
    ("measured", "met"),
    [
        ([0.91, 0.95, 0.99], "yes"),
        ([0.80, 0.95, 0.99], "unclear"),
        ([0.70, 0.80, 0.89], "no"),
    ],
)
def test_target_is_met_if_the_middle_half_of_the_rounds_meets_it(
    measured: list[float], met: str
) -> None:
    row = {"database": "store", "transaction": "each its own", "rate_to_plain": measured}
    (target,) = targets.compute({"point-reads": {"rows": [row]}})
    assert (target["measured"], target["met"]) == (measured, met)


def test_nothing_measured_meets_no_target() -> None:
    assert targets.compute({}) == []


def test_page_has_a_place_for_every_benchmark(
    quick_run: tuple[dict[str, Any], str, Path],
) -> None:
    document, _, _ = quick_run
    text = (_ROOT / "docs" / "benchmarks.md").read_text()
    filled = page.filled(text, document)
    for name in _BENCHMARKS | {"machine", "targets"}:
        assert f"<!-- {name} -->" in filled
    assert document["machine"]["date"] in filled
    assert "Not part of this run." not in filled
    assert page.filled(filled, document) == filled  # filling it again changes nothing


def test_page_says_what_a_run_left_out(quick_run: tuple[dict[str, Any], str, Path]) -> None:
    document, _, _ = quick_run
    text = "<!-- takeover -->\nold numbers\n<!-- end -->\n"
    part = {**document, "benchmarks": {}}
    assert page.filled(text, part) == "<!-- takeover -->\nNot part of this run.\n<!-- end -->\n"
