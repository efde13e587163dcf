"""Whatever becomes of the command, nothing of a cluster is left, or it can be removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vagrant.namespaces.cluster import remove_leftovers, why_not
from vagrant.namespaces.settings import PROJECT

LIMIT = 60.0


def namespaces() -> set[str]:
    return {path.name for path in Path("/run/netns").glob("aurora-*")}


def processes_in(directory: Path) -> list[str]:
    """Those whose mounts include a machine's disk below `directory`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            if str(directory) in path.read_text():
                found.append(path.parent.name)
        except OSError:
            continue  # has ended
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_command_that_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(f"no cluster on this computer: {reason}")
    before = namespaces()
    command = [sys.executable, "-m", "vagrant.namespaces", "up", "--directory", str(tmp_path)]
    process = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LIMIT
    while len(processes_in(tmp_path)) < 3:  # the machines are on, and are being set up
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, number)
    process.wait(LIMIT)
    while processes_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_in(tmp_path) == []
    if number == signal.SIGKILL:
        # The names of the namespaces remain, with nothing in them, for the next command to remove.
        left = namespaces() - before
        assert len(left) == 4
        assert len(remove_leftovers()) >= 1
    assert namespaces() - before == set()
