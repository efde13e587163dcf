"""The development cluster itself: it starts, answers, and ends with all that it runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import LIMIT
from mesos_cluster import clean_environment, living, mesos_cluster, wait_gone
from v1_framework import V1Framework

from aurora_store.dev import MesosCluster
from aurora_store.dev.processes import descendants, kill_descendants
from aurora_store.errors import LibmesosNotFound, StoreError
from aurora_store.libmesos import fetch

# Ignores every polite signal, and detaches a process that nobody knows any more.
_STUBBORN = "trap '' TERM HUP INT; setsid sh -c 'sleep 1000 & echo $! > {ready}'; sleep 1000"


def launch_stubborn(cluster: MesosCluster, ready: Path) -> list[int]:
    """Starts a task that is hard to get rid of; returns all processes of the cluster."""
    with V1Framework(cluster.master) as framework:
        framework.launch("stubborn", {"value": _STUBBORN.format(ready=ready)})
        assert framework.states(2)[-1] == "TASK_RUNNING"
    end = time.monotonic() + LIMIT
    while not ready.exists() or not ready.read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert cluster.pid is not None
    found = [cluster.pid, *descendants(cluster.pid)]
    assert int(ready.read_text()) in living(found)
    return found


def test_master_answers_and_every_agent_is_registered(cluster: MesosCluster) -> None:
    assert cluster.get("/version")["version"] == "1.11.0"
    assert cluster.get("/state")["id"] == cluster.get("/master/state")["id"]
    agents = cluster.get("/slaves")["slaves"]
    assert [agent["active"] for agent in agents] == [True, True]
    assert {agent["resources"]["cpus"] for agent in agents} == {4.0}
    with socket.create_connection(("127.0.0.1", int(cluster.master.rpartition(":")[2]))) as raw:
        raw.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert b" 200 " in raw.recv(64)


def test_master_outlives_schedulers_that_leave_without_a_word(cluster: MesosCluster) -> None:
    for _ in range(3):
        with V1Framework(cluster.master, failover_timeout=0.0) as framework:
            framework.event("OFFERS")
    assert cluster.running
    assert cluster.get("/version")["version"] == "1.11.0"


def test_stop_ends_tasks_of_every_kind_and_removes_the_temporary_directory(
    tmp_path: Path,
) -> None:
    with mesos_cluster() as cluster:
        processes = launch_stubborn(cluster, tmp_path / "ready")
        directory = cluster.directory
    assert living(processes) == set()
    assert directory is not None
    assert not directory.exists()
    assert not cluster.running


def test_kill_ends_everything_and_start_brings_a_master_at_the_same_address(
    tmp_path: Path,
) -> None:
    with mesos_cluster() as cluster:
        processes = launch_stubborn(cluster, tmp_path / "ready")
        master = cluster.master
        cluster.kill()
        assert living(processes) == set()
        assert not cluster.running
        cluster.start()
        assert cluster.master == master
        assert cluster.get("/state")["frameworks"] == []
        with V1Framework(cluster.master) as framework:
            framework.launch("again", {"value": "true"})
            assert framework.states(3)[-1] == "TASK_FINISHED"


def test_checkpointed_task_of_machines_that_were_switched_off_is_reported_as_failed() -> None:
    with mesos_cluster() as cluster:
        with V1Framework(cluster.master, checkpoint=True) as before:
            before.launch("stay", {"value": "sleep 1000"})
            before.states(2)
        cluster.kill()
        cluster.start()
        with V1Framework(cluster.master, framework_id=before.id, checkpoint=True) as after:
            after.call("RECONCILE", reconcile={"tasks": []})
            status = after.status()
        assert (status["task_id"]["value"], status["state"]) == ("stay", "TASK_FAILED")


def test_cluster_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from mesos_cluster import mesos_cluster\n"
        f"with mesos_cluster(directory={str(tmp_path / 'work')!r}) as cluster:\n"
        "    print(cluster.master, cluster.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert starter.stdout is not None
    master, pid = starter.stdout.readline().split()
    with V1Framework(master) as framework:
        framework.launch("stay", {"value": "sleep 1000"})
        framework.states(2)
    processes = [int(pid), *descendants(int(pid))]
    starter.kill()
    starter.communicate()
    wait_gone(*processes)


def test_tasks_end_when_libmesos_ends_the_process(tmp_path: Path) -> None:
    with mesos_cluster() as cluster:
        with V1Framework(cluster.master) as framework:
            framework.launch("stay", {"value": "sleep 1000"})
            framework.states(2)
        assert cluster.pid is not None
        processes = [cluster.pid, *descendants(cluster.pid)]
        os.kill(cluster.pid, signal.SIGABRT)
        with pytest.raises(StoreError, match="ended by itself with exit code -6"):
            cluster.wait(LIMIT)
        wait_gone(*processes)


def test_port_that_is_in_use_is_named_with_what_to_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, clean_environment({}):
        port = taken.getsockname()[1]
        cluster = MesosCluster(port=port, libmesos=fetch())
        with pytest.raises(StoreError, match=f"cannot listen on 127.0.0.1:{port}: A") as error:
            cluster.start()
    assert error.value.hint == "port 0 takes any free one"
    assert not cluster.running


def test_directory_of_a_running_cluster_is_refused(tmp_path: Path) -> None:
    other = MesosCluster(directory=tmp_path, libmesos=fetch())
    message = f"another Mesos cluster runs in {tmp_path}"
    with mesos_cluster(agents=0, directory=tmp_path), pytest.raises(StoreError, match=message):
        other.start()
    with mesos_cluster(agents=0, directory=tmp_path) as again:
        assert again.running


def test_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write to the directory .*: Not a directory"):
        MesosCluster(directory=tmp_path / "file" / "work", libmesos=fetch()).start()


def test_resources_that_mesos_does_not_understand_are_explained_in_its_words() -> None:
    with clean_environment({}):
        cluster = MesosCluster(resources="cpus:many", libmesos=fetch())
        with pytest.raises(StoreError, match="Failed to determine agent resources: Bad type"):
            cluster.start()
    assert not cluster.running


def test_flags_of_the_environment_are_those_of_master_and_agents() -> None:
    with mesos_cluster(flags={"MESOS_CLUSTER": "of a test"}) as cluster:
        assert cluster.get("/state")["cluster"] == "of a test"


def test_address_is_that_of_master_and_agents() -> None:
    with MesosCluster(agents=1, address="127.0.0.2") as cluster:
        assert cluster.master.startswith("127.0.0.2:")
        assert {agent["hostname"] for agent in cluster.get("/slaves")["slaves"]} == {"127.0.0.2"}


def test_no_libmesos_is_said(tmp_path: Path) -> None:
    with pytest.raises(LibmesosNotFound, match="there is no such file"):
        MesosCluster(libmesos=tmp_path / "libmesos.so").start()


def test_libmesos_without_a_master_is_said_and_serves_a_log_all_the_same(tmp_path: Path) -> None:
    # The real library, with the one name changed that says how to launch a cluster.
    library = tmp_path / "libmesos.so"
    official = fetch()
    name = b"_ZN5mesos8internal5local6launch"
    content = official.read_bytes()
    assert name in content
    library.write_bytes(content.replace(name, name.replace(b"launch", b"lunchd")))
    for other in official.parent.iterdir():
        if other.name != official.name:
            (tmp_path / other.name).symlink_to(other)
    with clean_environment({}):
        with pytest.raises(LibmesosNotFound, match="it lacks local_launch") as error:
            MesosCluster(libmesos=library).start()
        assert error.value.hint is not None
        program = (
            "from aurora_store.log import Log\n"
            f"with Log.open({str(tmp_path / 'log')!r}, libmesos={str(library)!r}) as log:\n"
            "    log.elect()\n"
            "    print(int(log.append(b'one')))\n"
        )
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("1\n", "")


def test_all_below_a_process_is_found_and_ended_but_not_the_process_itself() -> None:
    program = "import subprocess, sys\nsubprocess.run(['sh', '-c', 'sleep 1000 & sleep 1000'])\n"
    with subprocess.Popen([sys.executable, "-c", program]) as root:
        end = time.monotonic() + LIMIT
        while len(found := descendants(root.pid)) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
        kill_descendants(root.pid)
        wait_gone(*found)
        assert root.wait(LIMIT) == 0  # it saw its child end


class Command:
    """``aurora-store dev mesos`` as a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aurora_store.cli", "dev", "mesos", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "AURORA_STORE_LIBMESOS": str(fetch())},
        )

    def line(self) -> str:
        """The next line of standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_command_says_where_the_master_is_and_ends_well_when_it_is_stopped(
    stop: signal.Signals,
) -> None:
    with clean_environment({}):
        command = Command("--agents", "2", "--json")
    answer = json.loads(command.line())
    assert answer["agents"] == 2
    with V1Framework(answer["master"]) as framework:
        framework.launch("stay", {"value": "sleep 1000"})
        framework.states(2)
    processes = [answer["pid"], *descendants(answer["pid"])]
    command.process.send_signal(stop)
    rest, progress = command.process.communicate(timeout=LIMIT)
    assert (rest, command.process.returncode) == ("", 0)
    assert progress.startswith("Starting the master\n")
    assert living(processes) == set()
    assert not Path(answer["directory"]).exists()


def test_command_prints_a_table_for_people(tmp_path: Path) -> None:
    with clean_environment({}):
        command = Command("--agents", "0", "--directory", str(tmp_path / "work"))
    rows = dict(command.line().rstrip("\n").split("\t") for _ in range(7))
    command.process.terminate()
    command.process.communicate(timeout=LIMIT)
    assert rows["master"].startswith("127.0.0.1:")
    assert rows["agents"] == "0"
    assert rows["directory"] == str(tmp_path / "work")
    assert rows["stop"] == f"Ctrl-C, or kill {command.process.pid}"
    assert (tmp_path / "work" / "mesos.log").exists()


def test_command_that_cannot_start_says_why_and_exits_with_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, clean_environment({}):
        port = taken.getsockname()[1]
        command = Command("--port", str(port))
        output, errors = command.process.communicate(timeout=LIMIT)
    assert (output, command.process.returncode) == ("", 1)
    assert errors.endswith("Try: port 0 takes any free one\n")
    assert f"cannot listen on 127.0.0.1:{port}" in errors
