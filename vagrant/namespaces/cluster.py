"""The three machines: bringing them up, and leaving nothing behind."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TextIO

from vagrant.namespaces.machine import Machine
from vagrant.namespaces.network import Network
from vagrant.namespaces.settings import read_settings

Progress = Callable[[str, int, int], None]
"""Called with (step, done, total)."""

_COMMANDS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "java": "default-jre-headless",
}

# One folder for each cluster that runs, with a lock that is held as long as it does.
_RUNNING = Path("/run/aurora-cluster")


class Cluster:
    """A cluster of machines on this computer. Needs root. Use it in the main thread.

    Args:
        directory: where the machines' disks and logs are kept; one that was used before continues
            the cluster that it has. By default a temporary one that is removed at the end.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.settings = read_settings()
        self.keep = directory is not None
        """Whether the directory stays at the end."""
        self.directory = directory or Path(tempfile.mkdtemp(prefix="aurora-cluster-"))
        self._name = f"aurora-{os.getpid()}-{secrets.token_hex(2)}"
        self.network = Network(self._name, self.settings.addresses)
        self.machines = {
            name: Machine(name, address, self.network, self.directory / name)
            for name, address in self.settings.addresses.items()
        }
        self.secrets = _read_secrets(self.directory)
        self._lock: TextIO | None = None

    @property
    def zookeeper(self) -> str:
        """The URL of the cluster's znodes, without credentials."""
        return f"zk://{self.settings.zookeeper}{self.settings.zookeeper_path}"

    def up(self, progress: Progress = lambda _step, _done, _total: None) -> None:
        """Switches all machines on and sets them up, at the same time.

        Steps for `progress`: ``clean``, ``machines``, ``provision``.

        Raises:
            StoreError: a machine does not start or cannot be set up. Nothing is left then.
        """
        progress("clean", 0, 1)
        remove_leftovers()
        progress("clean", 1, 1)
        try:
            self._lock = _mark(self._name)
            self.network.up()
            total = len(self.machines)
            for done, machine in enumerate(self.machines.values()):
                progress("machines", done, total)
                machine.switch_on()
            progress("machines", total, total)
            self.provision(progress)
        except BaseException:
            self.down()
            raise

    def provision(self, progress: Progress = lambda _step, _done, _total: None) -> None:
        """Runs the provisioning scripts on all machines, at the same time.

        Raises:
            StoreError: one of them failed; the message has its last lines.
        """
        total = len(self.machines)
        running = [(each, each.provision(self.secrets)) for each in self.machines.values()]
        for done, (machine, process) in enumerate(running):
            progress("provision", done, total)
            machine.provisioned(process)
        progress("provision", total, total)

    def down(self) -> None:
        """Ends every process, and removes the namespaces and a temporary directory. Idempotent."""
        for machine in self.machines.values():
            machine.switch_off()
        self.network.down()
        if self._lock is not None:
            shutil.rmtree(_RUNNING / self._name, ignore_errors=True)
            self._lock.close()
            self._lock = None
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()


def why_not() -> str | None:
    """Why this computer cannot run a cluster, or ``None`` if it can."""
    if os.geteuid() != 0:
        return "it needs root, for network and mount namespaces"
    for command, package in _COMMANDS.items():
        if shutil.which(command) is None:
            return f"the command {command} is missing: install {package}"
    if not Path("/usr/share/java/zookeeper.jar").exists():
        return "ZooKeeper is missing: install zookeeper"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "this kernel has no overlay file system"
    trial = Network(f"aurora-trial-{os.getpid()}", {})
    try:
        trial.up()
    except subprocess.CalledProcessError as exc:
        return f"network namespaces cannot be made: {exc.stderr.strip()}"
    finally:
        trial.down()
    return None


def remove_leftovers() -> list[str]:
    """Removes what clusters left behind whose command was killed. Returns their names."""
    removed = []
    for path in _RUNNING.glob("aurora-*"):
        with (path / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # it runs
            Network(path.name, {}).down()
            shutil.rmtree(path)
            removed.append(path.name)
    return removed


def _read_secrets(directory: Path) -> dict[str, str]:
    """The cluster's passwords; made at the first start in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "secrets.json"
    if not path.exists():
        made = {
            "AURORA_STORE_ZOOKEEPER_CREDENTIALS": f"aurora:{secrets.token_urlsafe(24)}",
            "AURORA_STORE_MONITORING_TOKEN": secrets.token_urlsafe(24),
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(made))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _mark(name: str) -> TextIO:
    (_RUNNING / name).mkdir(parents=True)
    lock = (_RUNNING / name / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
