"""A real ZooKeeper server for tests, as the distribution packages it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import LIMIT, free_ports

_JARS = Path("/usr/share/java")
_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"


class ZooKeeperServer:
    """One server on a port of the loopback address."""

    def __init__(self, directory: Path) -> None:
        [self.port] = free_ports(1)
        self._directory = directory
        self._configuration = directory / "zoo.cfg"
        self._configuration.write_text(
            f"tickTime=200\ndataDir={directory / 'data'}\nclientPort={self.port}\n"
            "clientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n"
            "minSessionTimeout=400\nmaxSessionTimeout=60000\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, path: str, credentials: str | None = None) -> str:
        """For `Log.open`."""
        who = f"{credentials}@" if credentials else ""
        return f"zk://{who}127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        """Returns when it takes connections."""
        with (self._directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                ["java", "-Xmx128m", "-cp", f"{_JARS}/*", _MAIN, str(self._configuration)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        end = time.monotonic() + LIMIT
        while not self._listens():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(
                    f"ZooKeeper does not start: {(self._directory / 'output').read_text()[-2000:]}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """At once, as if the machine was switched off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LIMIT)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running_zookeeper(directory: Path) -> Iterator[ZooKeeperServer]:
    """A server with its data in `directory`. Skips the test where ZooKeeper is not installed."""
    if shutil.which("java") is None:
        pytest.skip("no java on this machine")
    if not (_JARS / "zookeeper.jar").exists():
        pytest.skip(f"no ZooKeeper on this machine: {_JARS / 'zookeeper.jar'} is missing")
    server = ZooKeeperServer(directory)
    try:
        yield server
    finally:
        server.stop()
