"""What must be refused, by name and in time, instead of ending the process or hanging."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Worker, WorkerError, free_ports, spawn
from replicas import SpawnReplica

from aurora_store.errors import Corrupt, LogUnavailable
from aurora_store.log.directory import check_directory

_CHECK_AS_NOBODY = """
import os, pathlib, sys
from aurora_store.log.directory import check_directory
os.setuid(65534)
check_directory(pathlib.Path(sys.argv[1]))
"""


@pytest.fixture
def closed_log(replica: Worker, tmp_path: Path) -> Path:
    """The directory of a log that nobody has open."""
    replica.call("append", data="x")
    replica.kill()
    return tmp_path / "log"


def refuse(worker: Worker, match: str, **options: Any) -> None:
    """The log must not open, and the process must live on."""
    with pytest.raises(WorkerError, match=match):
        worker.call("open_log", **options)
    assert worker.call("alive")


def test_a_directory_that_another_process_has_open(
    replica: Worker, spawn_replica: SpawnReplica, tmp_path: Path
) -> None:
    refuse(spawn_replica(), f"LogInUse.*process {replica.pid} ", directory=str(tmp_path / "log"))
    assert replica.call("append", data="undisturbed") > 0


def test_a_directory_that_this_process_has_open(replica: Worker, tmp_path: Path) -> None:
    refuse(replica, "LogInUse.*this very process", name="second", directory=str(tmp_path / "log"))
    assert replica.call("append", data="undisturbed") > 0


def test_the_check_of_an_open_directory_does_not_drop_its_lock(
    replica: Worker, spawn_replica: SpawnReplica, tmp_path: Path
) -> None:
    # Closing any file descriptor of LOCK would end a lock of fcntl.
    refuse(replica, "LogInUse", name="second", directory=str(tmp_path / "log"))
    refuse(spawn_replica(), "LogInUse", directory=str(tmp_path / "log"))


def test_a_new_directory_is_its_owners_alone(tmp_path: Path) -> None:
    assert not check_directory(tmp_path / "parent" / "log")
    assert (tmp_path / "parent" / "log").stat().st_mode & 0o777 == 0o700


def test_tls_with_a_library_that_has_none(libmesos_path: Path, tmp_path: Path) -> None:
    environment = {"AURORA_STORE_LIBMESOS": str(libmesos_path), "LIBPROCESS_SSL_ENABLED": "true"}
    with spawn(Path(__file__).with_name("log_worker.py"), environment) as worker:
        refuse(worker, "LogUnavailable.*TLS.*docs/security.md", directory=str(tmp_path / "log"))


def test_a_file_in_the_place_of_the_directory(spawn_replica: SpawnReplica, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refuse(spawn_replica(), "LogUnavailable.*not a directory", directory=str(tmp_path / "file"))
    refuse(
        spawn_replica(), "LogUnavailable.*not a directory", directory=str(tmp_path / "file" / "log")
    )


def test_a_directory_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear reader")
    with pytest.raises(LogUnavailable, match=r"no log directory.*letter\.txt"):
        check_directory(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as somebody else")
def test_a_directory_without_the_right_to_write(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    directory.mkdir(mode=0o755)
    for parent in [tmp_path, *tmp_path.parents][:-1]:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    # Becomes nobody after its imports, which nobody may have no right to read.
    ran = subprocess.run(
        [sys.executable, "-c", _CHECK_AS_NOBODY, directory],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "LogUnavailable" in ran.stderr
    assert "cannot be written: Permission denied" in ran.stderr


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "does not name a manifest"),
        (b"MANIFEST-000002", "does not name a manifest"),
        (b"\xff" * 16, "does not name a manifest"),
        (b"MANIFEST-999999\n", "MANIFEST-999999 is missing"),
    ],
)
def test_a_damaged_file_current(closed_log: Path, content: bytes, problem: str) -> None:
    (closed_log / "CURRENT").write_bytes(content)
    with pytest.raises(Corrupt, match=problem):
        check_directory(closed_log)


def test_a_lost_file_current_does_not_begin_an_empty_log(
    closed_log: Path, spawn_replica: SpawnReplica
) -> None:
    (closed_log / "CURRENT").unlink()
    refuse(spawn_replica(), "Corrupt.*lost its file CURRENT", directory=str(closed_log))


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\xff" * 4096])
def test_a_damaged_manifest(closed_log: Path, content: bytes) -> None:
    [manifest] = closed_log.glob("MANIFEST-*")
    manifest.write_bytes(content)
    with pytest.raises(Corrupt, match=manifest.name):
        check_directory(closed_log)


def test_an_undamaged_directory_is_recognised(closed_log: Path, tmp_path: Path) -> None:
    assert check_directory(closed_log)
    assert not check_directory(tmp_path / "new" / "log")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"address": "127.0.0.1"}, "not an address like"),
        ({"address": "127.0.0.1:99999"}, "not an address like"),
        ({"peers": ["nonsense"], "address": "127.0.0.1:5050"}, "peer 'nonsense' is neither"),
        ({"peers": ["127.0.0.1:1"], "address": "127.0.0.1:0"}, "need to know this replica's port"),
        ({"peers": ["127.0.0.1:1"], "address": "127.0.0.1:2"}, "odd number of replicas; 2"),
        ({"quorum": 2}, "quorum 2 does not fit 1 replicas: use 1"),
        ({"quorum": 0}, "quorum 0 does not fit 1 replicas: use 1"),
        ({"zookeeper": "zk://h:1/log"}, "say the quorum"),
        ({"zookeeper": "zookeeper.example:2181/log", "quorum": 2}, "is not of the form zk://"),
        ({"zookeeper": "zk://h:2181", "quorum": 2}, "needs a path"),
        ({"zookeeper": "zk://h/log", "quorum": 2}, "not an address like"),
        ({"zookeeper": "zk://secret@h:1/log", "quorum": 2}, "are not user:password"),
        ({"zookeeper": "zk://h:1/log", "quorum": 2, "peers": ["a:1"]}, "not both"),
    ],
)
def test_arguments_that_cannot_be_right(
    spawn_replica: SpawnReplica, tmp_path: Path, options: dict[str, Any], match: str
) -> None:
    refuse(spawn_replica(), f"ValueError.*{match}", directory=str(tmp_path / "log"), **options)


def test_a_quorum_that_does_not_fit_the_peers(spawn_replica: SpawnReplica, tmp_path: Path) -> None:
    peers = [f"127.0.0.1:{port}" for port in free_ports(3)]
    refuse(
        spawn_replica(),
        "ValueError.*quorum 3 does not fit 3 replicas: use 2",
        directory=str(tmp_path / "log"),
        address=peers[0],
        peers=peers,
        quorum=3,
    )


def test_a_peer_whose_name_does_not_resolve(spawn_replica: SpawnReplica, tmp_path: Path) -> None:
    refuse(
        spawn_replica(),
        "LogUnavailable.*no-such-host.invalid",
        directory=str(tmp_path / "log"),
        address=f"127.0.0.1:{free_ports(1)[0]}",
        peers=["no-such-host.invalid:5050", "127.0.0.1:1"],
    )


def test_a_port_that_is_taken(spawn_replica: SpawnReplica, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refuse(
            spawn_replica(),
            f"LogUnavailable.*cannot listen on {address}: Address already in use",
            directory=str(tmp_path / "log"),
            address=address,
        )


def test_an_address_that_is_not_of_this_machine(
    spawn_replica: SpawnReplica, tmp_path: Path
) -> None:
    refuse(
        spawn_replica(),
        "LogUnavailable.*cannot listen on 192.0.2.1:0",
        directory=str(tmp_path / "log"),
        address="192.0.2.1:0",
    )


def test_another_address_in_the_same_process(replica: Worker, tmp_path: Path) -> None:
    refuse(
        replica,
        "LogUnavailable.*already",
        name="second",
        directory=str(tmp_path / "other"),
        address=f"127.0.0.1:{free_ports(1)[0]}",
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("no mount on this machine")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=48m", "tmpfs", mount_point],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    try:
        yield mount_point
    finally:
        subprocess.run([umount, "-l", mount_point], check=True)


def test_an_append_that_the_disk_might_not_hold_is_refused(
    small_disk: Path, spawn_replica: SpawnReplica
) -> None:
    # libmesos would log the failed write and never answer, or end the process.
    worker = spawn_replica(directory=str(small_disk / "log"))
    worker.call("elect")
    last = worker.call("append", data="small")
    with pytest.raises(WorkerError, match="LogFailed.*disk of this replica"):
        worker.call("append_many", count=40, size=1_000_000)
    with pytest.raises(WorkerError, match="NotElected"):
        worker.call("append", data="small")
    assert worker.call("elect") > last
    worker.call("truncate", to=last)
    assert worker.call("close") < 5.0


def test_a_full_disk_is_refused(small_disk: Path, spawn_replica: SpawnReplica) -> None:
    (small_disk / "filler").write_bytes(b"x" * (40 << 20))
    refuse(spawn_replica(), "LogUnavailable.*left on its disk", directory=str(small_disk / "log"))
