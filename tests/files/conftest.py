"""Directories of real replicas, made once and copied for each test that damages one."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from directories import spawn_log, spawn_store
from harness import Worker


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The closed directory of a store: several tables and a log, of 2,000 small transactions."""
    directory = tmp_path_factory.mktemp("written") / "log"
    with ExitStack() as stack:
        worker = spawn_store(stack, directory)
        worker.call("write", count=2000, size=2500)
        worker.call("close")
    assert len(list(directory.glob("*.ldb"))) >= 2
    return directory


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    """A copy of `written`, to damage."""
    return Path(shutil.copytree(written, tmp_path / "copy"))


@pytest.fixture
def log(workers: ExitStack, tmp_path: Path) -> Worker:
    """The elected writer of a log of one replica in `tmp_path / "log"`."""
    worker = spawn_log(workers, directory=str(tmp_path / "log"))
    worker.call("elect")
    return worker
