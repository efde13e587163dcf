"""What ``docs/framework.md`` tells its reader to do leads to what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import free_ports
from mesos_cluster import clean_environment
from schedulers import wait

from aurora_store.dev import MesosCluster
from aurora_store.framework import FrameworkState
from aurora_store.libmesos import fetch

_PAGE = (Path(__file__).parents[2] / "docs" / "framework.md").read_text()
[_SCHEDULER] = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
[_COMMANDS] = re.findall(r"```sh\n(.*?)```", _PAGE, re.DOTALL)
_LIBMESOS = re.compile(r"\([a-z_]+\.cpp:\d+\)$")
_FIRST, _SECOND = re.findall(r"```text\n(.*?)```", _PAGE, re.DOTALL)


class Terminal:
    """A command that runs, and what it has printed."""

    def __init__(self, words: list[str], directory: Path) -> None:
        self.process = subprocess.Popen(
            words, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not _LIBMESOS.search(line):
                self.lines.append(line.rstrip("\n"))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Where the reader works, with programs of this environment first in the path."""
    programs = str(Path(sys.executable).parent)
    path = os.pathsep.join([programs, os.environ["PATH"]])
    with clean_environment({"AURORA_STORE_LIBMESOS": str(fetch()), "PATH": path}):
        yield tmp_path


def test_reader_gets_a_scheduler_that_fails_over(directory: Path) -> None:
    master, *peers = free_ports(4)
    ports = {"5050": master, "9001": peers[0], "9002": peers[1], "9003": peers[2]}

    def with_free_ports(text: str) -> str:
        for written, free in ports.items():
            assert written in text or "python" in text
            text = text.replace(written, str(free))
        return text

    (directory / "scheduler.py").write_text(with_free_ports(_SCHEDULER))
    commands = [shlex.split(line) for line in with_free_ports(_COMMANDS).splitlines()]
    with ExitStack() as stack:
        terminals = []
        for words in commands:
            terminals.append(Terminal(words, directory))
            stack.callback(terminals[-1].end)
        candidates = terminals[1:]
        assert len(candidates) == 3
        expected = _FIRST.splitlines()
        first = wait(
            lambda: [each for each in candidates if each.lines == expected],
            "one says what the page says",
            seen=lambda: [each.lines for each in terminals],
        )[0]
        before = _frameworks(master)
        first.process.kill()
        others = [each for each in candidates if each is not first]
        expected = ["standby", *_SECOND.splitlines()]
        wait(
            # The answer about the task may come before or after the last of these states, and
            # twice: the agent sends an update again until it is acknowledged.
            lambda: [each for each in others if set(each.lines) == set(expected)],
            "another one says what the page says",
            seen=lambda: [each.lines for each in others],
        )
        assert _frameworks(master) == before
        assert [tasks for _, tasks in before.items()] == [["task-0"]]
        for each in others:
            each.process.terminate()
            assert each.process.wait(60.0) == 0, each.lines


def _frameworks(master: int) -> dict[str, list[str]]:
    cluster = MesosCluster(port=master)
    return {
        each["id"]: [task["id"] for task in each["tasks"] + each["completed_tasks"]]
        for each in cluster.get("/state")["frameworks"]
    }


def test_every_state_is_described() -> None:
    [table] = re.findall(r"\| State \|.*?\n\n", _PAGE, re.DOTALL)
    described = set(re.findall(r"`([a-z ]+)`", re.sub(r"\|[^|]*\|[^|]*\|\n", "|\n", table)))
    assert described >= {each.value for each in FrameworkState} - {"new"}
