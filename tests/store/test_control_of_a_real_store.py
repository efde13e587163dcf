"""The control socket beside a real log, whose library and whose checks must leave it alone."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Worker
from stores import spawn_store

from aurora_store.control import ask
from aurora_store.errors import StoreNotRunning


def test_a_store_that_was_killed_can_be_opened_and_controlled_again(
    leader: Worker, workers: ExitStack, tmp_path: Path
) -> None:
    leader.call("script", statements=["CREATE TABLE t (a)"])
    assert ask(tmp_path / "log", "status")["state"] == "leading"
    leader.kill()
    assert (tmp_path / "log" / "control.sock").exists()
    with pytest.raises(StoreNotRunning):
        ask(tmp_path / "log", "status")
    again = spawn_store(workers, directory=str(tmp_path / "log"))
    again.call("catch_up")
    assert ask(tmp_path / "log", "status")["state"] == "standby"
    again.call("close")
    assert not (tmp_path / "log" / "control.sock").exists()


def test_a_store_opened_without_control_has_no_socket(workers: ExitStack, tmp_path: Path) -> None:
    spawn_store(workers, directory=str(tmp_path / "log"), control=False)
    with pytest.raises(StoreNotRunning, match="control=False|no store"):
        ask(tmp_path / "log", "status")


def test_a_directory_in_which_only_the_socket_is_left_can_begin_anew(
    leader: Worker, workers: ExitStack, tmp_path: Path
) -> None:
    leader.kill()
    for file in (tmp_path / "log").iterdir():
        if file.name != "control.sock":
            file.unlink()
    again = spawn_store(workers, directory=str(tmp_path / "log"))
    again.call("catch_up")
    assert ask(tmp_path / "log", "status")["position"] == 0
