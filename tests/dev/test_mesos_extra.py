"""``pip install aurora-store[mesos]`` alone, in a fresh environment, gives a working pymesos.

For this Python; `make mesos-extra` does the same for several.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mesos_cluster import clean_environment

from aurora_store.libmesos import fetch

_ROOT = Path(__file__).parents[2]
_PYTHONS = os.environ.get("AURORA_STORE_PYTHONS", sys.executable).split()
_NO_INDEX = ("NewConnectionError", "ConnectTimeoutError", "Temporary failure in name resolution")


def is_there(python: str) -> bool:
    """Whether the program is one, and not the place of one that a version manager lacks."""
    if shutil.which(python) is None:
        return False
    return subprocess.run([python, "--version"], capture_output=True).returncode == 0


@pytest.mark.parametrize("python", _PYTHONS, ids=str)
def test_extra_installs_by_itself_and_a_task_runs(python: str, tmp_path: Path) -> None:
    if not is_there(python):
        pytest.skip(f"no {python} on this machine")
    environment = tmp_path / "environment"
    subprocess.run([python, "-m", "venv", environment], check=True, timeout=120.0)
    own_python = environment / "bin" / "python"
    install = [own_python, "-m", "pip", "install", "--quiet", f"{_ROOT}[mesos]"]
    installed = subprocess.run(install, capture_output=True, text=True, timeout=600.0)
    if any(reason in installed.stderr for reason in _NO_INDEX):
        pytest.skip("the package index cannot be reached")
    assert installed.returncode == 0, installed.stderr
    with clean_environment({"AURORA_STORE_LIBMESOS": str(fetch())}):
        ran = subprocess.run(
            [own_python, Path(__file__).with_name("first_task.py")],
            capture_output=True,
            text=True,
            timeout=120.0,
        )
    assert ran.returncode == 0, ran.stderr
    package, states = ran.stdout.splitlines()
    assert Path(package).is_relative_to(environment)
    assert states == "TASK_STARTING TASK_RUNNING TASK_FINISHED"
