"""The commands of ``docs/log-tools.md`` run, and print what the page shows but for numbers."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from directories import flip, spawn_store

from aurora_store.cli.commands import main

_DOC = Path(__file__).parents[2] / "docs" / "log-tools.md"
_TEXT = _DOC.read_text()
_EXAMPLES = re.findall(r"```console\n\$ (aurora-store [^\n]*)\n(.*?)```", _TEXT, re.DOTALL)
_PYTHON = re.compile(r"```python\n(?P<code>.*?)```.*?```text\n(?P<output>.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What stands for the page's directories: a store's log, and a damaged one."""
    root = tmp_path_factory.mktemp("doc")
    store, copy = root / "store", root / "copy"
    with ExitStack() as stack:
        worker = spawn_store(stack, store)
        worker.call("write", count=10)
        worker.call("lead_again")
        worker.call("write", count=10)
        worker.call("close")
        worker = spawn_store(stack, copy)
        worker.call("write", count=2000, size=2500)
        worker.call("close")
    table = min(copy.glob("*.ldb"))
    flip(table, 100_000)
    flip(table, 900_000)
    return {
        "/var/lib/scheduler/store": store,
        "/backup/copy": copy,
        "/backup/new": root / "new",
    }


def _pattern(shown: str) -> str:
    """Numbers may differ, and a run of them in a row or a bar; the rest is as shown."""
    lines = []
    for line in filter(None, map(str.strip, shown.splitlines())):
        if line == "...":
            lines.append(r"(?:.*\n)*?.*")
            continue
        words = _same_bytes(" ".join(line.split()))
        pattern = re.sub(r"\d[\d.:]*", r"\\d[\\d.:]*", re.escape(words).replace("\\.", "."))
        lines.append(re.sub("[▁▂▃▄▅▆▇█]+", "[▁▂▃▄▅▆▇█ ]+", pattern))
    return "\n".join(lines)


def _same_bytes(line: str) -> str:
    """Checksums and blobs may differ."""
    return re.sub(r"\b[0-9a-f]{16}\b", "checksum", re.sub(r"x'[0-9a-f]*'", "blob", line))


def _normal(printed: str) -> str:
    lines = (_same_bytes(" ".join(line.split())) for line in printed.splitlines())
    steps = (
        "Reading the log",
        "Applying it to",
        "Looking which pages",
        "Looking through the log",
        "Replaying",
        "Writing the file",
        "Rewriting",
    )
    return "\n".join(line for line in lines if line and not line.startswith(steps))


@pytest.mark.parametrize(("command", "shown"), _EXAMPLES, ids=[each[0] for each in _EXAMPLES])
def test_an_example_prints_what_is_shown(
    command: str, shown: str, places: dict[str, Path], tmp_path: Path
) -> None:
    actual = command
    for name, place in places.items():
        actual = actual.replace(name, str(place))
    ran = subprocess.run(
        [sys.executable, "-m", "aurora_store.cli", *shlex.split(actual)[1:]],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ran.returncode == (3 if "Error: " in shown else 0), ran.stderr
    printed = _normal(ran.stdout + ran.stderr)
    for name, place in places.items():
        printed = printed.replace(str(place), name)
    assert re.fullmatch(_pattern(shown), printed), f"{printed}\n-- is not --\n{shown}"


def test_every_command_of_the_page_is_shown() -> None:
    group = main.commands["log"]
    shown = {command.split()[2] for command, _ in _EXAMPLES if command.split()[1] == "log"}
    assert shown == set(group.commands)  # type: ignore[attr-defined]
    assert any(command.split()[1] == "sql" for command, _ in _EXAMPLES)


def test_the_python_example_prints_what_is_shown(places: dict[str, Path]) -> None:
    found = _PYTHON.search(_TEXT)
    assert found is not None
    code = found["code"].replace(
        "/var/lib/scheduler/store", str(places["/var/lib/scheduler/store"])
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ran.stderr == ""
    # An idle leader may have added heartbeats before the end.
    assert re.sub(r"^0 \d+", "0 23", ran.stdout, flags=re.MULTILINE) == found["output"]
