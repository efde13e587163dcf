"""One machine, from outside: switching it on, setting it up, and running commands on it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from aurora_store.errors import StoreError
from aurora_store.libmesos.cache import cache_root
from vagrant.namespaces.network import Network
from vagrant.namespaces.settings import PROJECT, VAGRANT

_BOOT = Path(__file__).parent / "boot.sh"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BOOT_LIMIT_S = 30.0
_PROVISION_LIMIT_S = 300.0
_COMMAND_LIMIT_S = 60.0
_LAST_LINES = 15


class MachineFailed(StoreError):
    """A machine did not do what it was told."""


class Machine:
    """A machine. Its first process dies with this one, and everything in the machine with it.

    Args:
        name: its host name.
        address: its address on the cluster's network.
        network: has its network namespace.
        directory: where its disk is kept; given as it is to a machine that is switched on again.
    """

    def __init__(self, name: str, address: str, network: Network, directory: Path) -> None:
        self.name = name
        self.address = address
        self._namespace = network.namespace(name)
        self._directory = directory
        self._first: subprocess.Popen[bytes] | None = None  # `unshare`
        self._init = 0  # the machine's first process

    @property
    def disk(self) -> Path:
        """Where its lasting files are, seen from here."""
        return self._directory / "disk"

    @property
    def root(self) -> Path:
        """Its file system, seen from here, while it is switched on."""
        return Path(f"/proc/{self._init}/root")

    def switch_on(self) -> None:
        """Starts its first process.

        Raises:
            MachineFailed: it did not; the message has its last words.
        """
        scratch = self._directory / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        self.disk.mkdir(exist_ok=True)
        # What the services need to read may lie anywhere, also on file systems of its own.
        shared = {PROJECT, Path(sys.base_prefix), Path(sys.prefix)}
        environment = {
            "PATH": _PATH,
            "MACHINE": self.name,
            "SCRATCH": str(scratch),
            "DATA": str(self.disk),
            "PYTHON": sys.prefix,
            "CACHE": str(cache_root()),
            "SHARED": " ".join(str(path) for path in sorted(shared) if path != Path("/usr")),
            "PYTHONPATH": str(PROJECT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        inside = ("unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--kill-child")
        with self._boot_log.open("wb") as log:
            self._first = subprocess.Popen(
                # Killed with the thread that starts it, which is the main one.
                ["setpriv", "--pdeathsig", "KILL", "--", "ip", "netns", "exec", self._namespace]
                + [*inside, str(_BOOT)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + _BOOT_LIMIT_S
        while not self._answers():
            if self._first.poll() is not None or time.monotonic() > deadline:
                raise MachineFailed(f"{self.name} does not start: {_tail(self._boot_log)}")
            time.sleep(0.02)

    def switch_off(self) -> None:
        """As if the power failed: every process of it is killed at once. Idempotent."""
        if self._first is not None:
            self._first.kill()
            self._first.wait()
            self._first = None
            if self._init:
                # The kernel ends the rest of the machine with it, before it is gone itself.
                while Path(f"/proc/{self._init}").exists():
                    time.sleep(0.01)
                self._init = 0

    def provision(self, secrets: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Starts ``provision/run.sh`` on it; see `provisioned`."""
        with self._provision_log.open("wb") as log:
            return subprocess.Popen(
                [*self._enter(), "env", "-i", f"PATH={_PATH}"]
                + ["sh", "-c", '. /dev/stdin; exec "$0"', str(VAGRANT / "provision" / "run.sh")],
                stdin=_script({**secrets}),
                stdout=log,
                stderr=log,
            )

    def provisioned(self, running: subprocess.Popen[bytes]) -> None:
        """Waits for it to end.

        Raises:
            MachineFailed: it failed.
        """
        if running.wait(_PROVISION_LIMIT_S) != 0:
            raise MachineFailed(f"{self.name} cannot be set up: {_tail(self._provision_log)}")

    def run(self, *command: str, text: str = "", limit: float = _COMMAND_LIMIT_S) -> str:
        """Runs a command on it as root, with `text` as its input, and returns what it printed.

        Raises:
            MachineFailed: it failed.
        """
        done = subprocess.run(
            [*self._enter(), "env", f"PATH={_PATH}", *command],
            capture_output=True,
            text=True,
            input=text,
            timeout=limit,
        )
        if done.returncode != 0:
            raise MachineFailed(
                f"{self.name}: {shlex.join(command)}: exit code {done.returncode}:"
                f" {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout

    def systemctl(self, verb: str, *arguments: str) -> None:
        """As typed on it."""
        self.run("systemctl", verb, *arguments)

    @property
    def shell(self) -> str:
        """The command for a shell on it."""
        return " ".join([*self._enter(), "bash"])

    def log(self, unit: str) -> str:
        """What a unit has written so far."""
        return (self.disk / "var/log" / f"{unit}.log").read_text(errors="replace")

    def wipe(self) -> None:
        """Deletes the replica's data, as if its disk was replaced; its unit must be stopped."""
        shutil.rmtree(self.disk / "var/lib/aurora-store/store")

    @property
    def _boot_log(self) -> Path:
        return self._directory / "boot.log"

    @property
    def _provision_log(self) -> Path:
        return self._directory / "provision.log"

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._init}", "--all", "--root", "--wd=/"]

    def _answers(self) -> bool:
        assert self._first is not None
        if not self._init:
            children = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children")
            with contextlib.suppress(OSError, IndexError):
                self._init = int(children.read_text().split()[0])
        return bool(self._init) and (self.root / "run/systemctl.sock").exists()


def _script(variables: Mapping[str, str]) -> int:
    """A file that only its reader has, with variables for a shell. Not for the command line."""
    reader, writer = os.pipe()
    text = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    os.write(writer, text.encode())
    os.close(writer)
    return reader


def _tail(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join(["", *(f"  {line}" for line in lines)])
