"""A ZooKeeper server on the loopback address, for development and tests: the distribution's own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from aurora_store.dev.loopback import free_ports
from aurora_store.dev.processes import end_with_parent
from aurora_store.errors import StoreError

_JARS = Path("/usr/share/java")
_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 10.0
_HINT = "apt-get install zookeeper default-jre-headless"


class ZooKeeperServer:
    """One server, which lives as long as the block, and no longer than the thread that starts it.

        with ZooKeeperServer(directory) as server:
            store = Store.open(..., zookeeper=server.url("/scheduler/log"), quorum=1)

    Its ticks are short (0.2 s), so that session timeouts from 0.4 s on can be had. Not for use from
    several threads.

    Args:
        directory: for its data; made if it is missing.
        port: on 127.0.0.1; 0 is any free one.
    """

    def __init__(self, directory: Path, *, port: int = 0) -> None:
        self.directory = directory
        self.port = port or free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, path: str, credentials: str | None = None) -> str:
        """The address of a path there, with ``user:password`` if they are given."""
        who = f"{credentials}@" if credentials else ""
        return f"zk://{who}127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        """Returns when it takes connections. Keeps the data of an earlier start.

        Raises:
            StoreError: ZooKeeper or Java is not installed, or it does not start.
        """
        if shutil.which("java") is None:
            raise StoreError("there is no java on this machine, which ZooKeeper needs", hint=_HINT)
        if not (_JARS / "zookeeper.jar").exists():
            raise StoreError(
                f"ZooKeeper is not installed: no {_JARS / 'zookeeper.jar'}", hint=_HINT
            )
        self.directory.mkdir(parents=True, exist_ok=True)
        configuration = self.directory / "zoo.cfg"
        configuration.write_text(
            f"tickTime=200\ndataDir={self.directory / 'data'}\nclientPort={self.port}\n"
            "clientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n"
            "minSessionTimeout=400\nmaxSessionTimeout=60000\n"
        )
        output = self.directory / "output"
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                ["java", "-Xmx128m", "-cp", f"{_JARS}/*", _MAIN, str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C is for this process, which then calls stop
                preexec_fn=end_with_parent,
            )
        end = time.monotonic() + _START_LIMIT_S
        while not self._listens():
            if time.monotonic() > end or self._process.poll() is not None:
                self.stop()
                raise StoreError(f"ZooKeeper does not start: {output.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it at once, as if the machine was switched off. Does nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_LIMIT_S)

    def __enter__(self) -> ZooKeeperServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
