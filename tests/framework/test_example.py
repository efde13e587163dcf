"""The example framework as a service would run it: its command line, its end, its exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from harness import LIMIT, free_ports
from schedulers import wait

from aurora_store.dev import MesosCluster
from aurora_store.framework import example
from aurora_store.libmesos import fetch


class Process:
    """The example, alone, on a store of one replica."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "aurora_store.framework.example", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "AURORA_STORE_LIBMESOS": str(fetch()), **environment},
        )

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Its exit code and what it wrote, after a signal or by itself."""
        if number is not None:
            self._process.send_signal(number)
        _, stderr = self._process.communicate(timeout=2 * LIMIT)
        return self._process.returncode, stderr


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Ends every process at the end of a test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def run(processes: ExitStack, tmp_path: Path, cluster: MesosCluster) -> Any:
    """Starts the example; it keeps its store and its address."""
    address = f"127.0.0.1:{free_ports(1)[0]}"

    def started(*more: str, master: str = cluster.master, **environment: str) -> Process:
        arguments = {
            "--name": "host-1",
            "--directory": str(tmp_path / "store"),
            "--address": address,
            "--peers": address,
            "--mesos": master,
            "--instances": "1",
        }
        words = [word for pair in arguments.items() for word in pair]
        process = Process(*words, "--auto-initialize", *more, **environment)
        processes.callback(process._process.kill)
        return process

    return started


def running(cluster: MesosCluster) -> dict[str, list[str]]:
    """Running tasks by framework id, of those that are connected."""
    return {
        each["id"]: [task["id"] for task in each["tasks"] if task["state"] == "TASK_RUNNING"]
        for each in cluster.get("/state")["frameworks"]
        if each["connected"]
    }


def test_instance_outlives_its_scheduler(run: Any, cluster: MesosCluster) -> None:
    first = run()
    wait(lambda: any(running(cluster).values()), "an instance runs")
    seen = running(cluster)
    assert list(seen.values()) == [["instance-0-0"]]
    code, _ = first.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    second = run()
    wait(lambda: running(cluster) == seen, "the same framework and the same task")
    code, said = second.end(signal.SIGTERM)
    assert code == 0, said
    assert "registered again as" in said
    assert "Traceback" not in said


def test_status_page_tells_who_leads(run: Any) -> None:
    port = free_ports(1)[0]
    process = run("--http", f"127.0.0.1:{port}")

    def leads() -> bool:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=LIMIT) as page:
            return bool(page.status == 200)
        return False

    wait(leads, "the page says that it leads")
    active = 'aurora_store_framework_state{state="active"} 1.0'

    def metrics() -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT) as page:
            return str(page.read().decode())

    wait(lambda: active in metrics(), "the metrics say that it is active")
    shown = metrics()
    assert "aurora_store_framework_connected 1.0" in shown
    assert 'aurora_store_framework_takeover_seconds{step="registration"}' in shown
    assert "aurora_store_framework_failed_callbacks_total 0.0" in shown
    code, said = process.end(signal.SIGTERM)
    assert code == 0, said


def test_status_page_beyond_loopback_needs_a_token(run: Any) -> None:
    code, said = run("--http", "0.0.0.0:0").end()
    assert code == 2
    assert "token" in said.strip().splitlines()[-1]


def test_interrupted_while_it_waits_for_a_master(run: Any) -> None:
    process = run(master="127.0.0.1:1")
    stderr = process._process.stderr
    wait(lambda: "registering" in stderr.readline(), "it registers")
    code, said = process.end(signal.SIGINT)
    assert code == 0, said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: --name"),
        (["--zookeeper", "zk://h:1/x", "--peers", "h:1"], "either --zookeeper or --peers"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ["--name", "n", "--directory", "d", "--address", "h:1", "--mesos", "h:2"]
    with pytest.raises(SystemExit) as caught:
        example.parse([*needed, *arguments] if arguments else [])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_address_that_is_none_is_exit_code_2(run: Any) -> None:
    code, said = run("--address", "nonsense").end()
    assert code == 2
    assert said.strip().splitlines()[-1].startswith("Error: 'nonsense' is not an address")


def test_store_that_is_in_use_is_said_with_its_exit_code(run: Any, cluster: MesosCluster) -> None:
    first = run()
    stderr = first._process.stderr
    wait(lambda: "framework example" in stderr.readline(), "it runs")
    code, said = run().end()
    assert code == 12
    assert said.strip().splitlines()[-1].startswith("Error: ")
    first.end(signal.SIGTERM)


def test_credentials_come_from_the_environment_and_are_not_shown(
    processes: ExitStack, tmp_path: Path
) -> None:
    process = Process(
        *("--name", "n", "--directory", str(tmp_path), "--address", "127.0.0.1:0"),
        *("--zookeeper", "zk://127.0.0.1:1/example", "--quorum", "1", "--mesos", "127.0.0.1:2"),
        AURORA_STORE_ZOOKEEPER_CREDENTIALS="example:hunter2",
    )
    processes.callback(process._process.kill)
    code, said = process.end()
    assert code == 11
    assert "zk://...@127.0.0.1:1/example/log cannot be reached" in said
    assert "hunter2" not in said
