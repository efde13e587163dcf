"""A Mesos master and agents on one computer, for development and tests."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from aurora_store.dev.cluster import LOG_NAME
from aurora_store.dev.launcher import command
from aurora_store.dev.processes import kill_tree
from aurora_store.errors import LibmesosNotFound, StoreError

DEFAULT_RESOURCES = "cpus:4;mem:2048;disk:2048;ports:[31000-31100]"
"""What each agent offers, unless said otherwise."""

Progress = Callable[[str, int, int], None]
"""Called with the name of the step, and how much of it is done out of how much."""

_STOP_LIMIT_S = 15.0
_EXIT = "EXIT with status"
_EXIT_LINES = 3
_LAST_LINES = 12
_POLL_S = 0.1


class MesosCluster:
    """A real master and agents in a process of its own; they run real tasks on this computer.

        with MesosCluster(agents=2) as cluster:
            driver = MesosSchedulerDriver(scheduler, framework, cluster.master)

    It takes about a second to start. It ends with the block, or with this process however that
    ends; every executor and task ends with it, at once (SIGKILL). Not for use from several threads.

    Args:
        agents: how many; 0 is a master alone.
        address: of the master and the agents. Whoever reaches it can run tasks with the rights of
            this user: leave it at the loopback address, or name one of a trusted network.
        port: of the master; 0 is any free one.
        directory: where sandboxes and the log are kept; by default a temporary one, which `stop`
            removes.
        resources: of each agent, in Mesos's text form.
        libmesos: the library to use; by default the one that `aurora_store.libmesos.find` finds.

    ``MESOS_*`` variables of the environment that this class does not set itself are flags of the
    master and the agents, as everywhere in Mesos (``MESOS_OFFER_TIMEOUT=5secs``).
    """

    def __init__(
        self,
        agents: int = 1,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        directory: str | os.PathLike[str] | None = None,
        resources: str = DEFAULT_RESOURCES,
        libmesos: str | os.PathLike[str] | None = None,
    ) -> None:
        self.agents = agents
        self.resources = resources
        self.directory = Path(directory).absolute() if directory is not None else None
        """Where sandboxes and the log are; known from `start` on."""
        self._address = address
        self._port = port
        self._libmesos = libmesos
        self._temporary = directory is None
        self._process: subprocess.Popen[str] | None = None

    @property
    def master(self) -> str:
        """``address:port`` of the master. Stays the same if it is started again after `kill`."""
        return f"{self._address}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Of the process that master and agents are, or ``None`` when it does not run."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, progress: Progress | None = None, timeout: float = 60.0) -> None:
        """Starts the processes and waits until every agent is registered.

        Args:
            progress: called with (step, done, total); the steps are ``master`` and ``agents``.
            timeout: seconds that it may take.

        Raises:
            LibmesosNotFound: there is no libmesos, or the one found has no master and agents.
            StoreError: the port or the directory is in use or cannot be used, the agents refuse
                their flags, or they did not register in time. Nothing runs then.
        """
        if self.running:
            raise StoreError("this Mesos cluster runs already")
        report = progress or (lambda _step, _done, _total: None)
        deadline = time.monotonic() + timeout
        try:
            report("master", 0, 1)
            self._launch()
            report("master", 1, 1)
            while (registered := self._registered()) < self.agents:
                report("agents", registered, self.agents)
                if time.monotonic() > deadline:
                    raise self._failed(
                        f"{registered} of {self.agents} agents registered in {timeout:g} s"
                    )
                time.sleep(_POLL_S)
            report("agents", self.agents, self.agents)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends everything that runs, and removes the directory if it is a temporary one.

        Returns when no executor and no task lives any more. Does nothing if nothing runs.
        """
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_LIMIT_S)
            self._end()
        if self._temporary and self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None

    def kill(self) -> None:
        """Ends everything at once, as if the machines were switched off, and keeps the directory.

        `start` brings up a master at the same address, which knows no framework and no task.
        """
        self._end()

    def wait(self, timeout: float | None = None) -> None:
        """Waits until the cluster ends by itself, or `timeout` seconds.

        Raises:
            StoreError: it ended by itself, with the last lines that it logged.
        """
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
            raise self._failed(f"ended by itself with exit code {self._process.returncode}")

    def get(self, path: str) -> Any:
        """The JSON that the master answers at an HTTP path, such as ``/state``.

        Raises:
            OSError: it does not answer, or with an error.
        """
        with urllib.request.urlopen(f"http://{self.master}{path}", timeout=10.0) as response:
            return json.load(response)

    def __enter__(self) -> MesosCluster:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        directory = self._make_directory()
        options = {
            "agents": self.agents,
            "address": self._address,
            "port": self._port,
            "directory": str(directory),
            "resources": self.resources,
            "libmesos": str(self._libmesos) if self._libmesos is not None else None,
        }
        with (directory / LOG_NAME).open("ab") as log:
            self._process = subprocess.Popen(
                [*command("cluster"), json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for this process, which then calls stop
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failed(f"did not start: exit code {self._process.wait(_STOP_LIMIT_S)}")
        answer = json.loads(line)
        if "error" in answer:
            kind = LibmesosNotFound if answer["name"] == "LibmesosNotFound" else StoreError
            raise kind(answer["error"], hint=answer["hint"])
        self._port = int(answer["master"].rpartition(":")[2])

    def _make_directory(self) -> Path:
        if self.directory is None:
            self.directory = Path(tempfile.mkdtemp(prefix="aurora-mesos-"))
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / LOG_NAME).touch()
        except OSError as exc:
            raise StoreError(
                f"cannot write to the directory {self.directory}: {exc.strerror}",
                hint="name another directory",
            ) from exc
        return self.directory

    def _registered(self) -> int:
        if not self.running:
            raise self._failed("ended while it started")
        with contextlib.suppress(OSError):  # it does not answer yet
            return sum(agent["active"] for agent in self.get("/slaves")["slaves"])
        return 0

    def _end(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            kill_tree(self._process.pid)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    def _failed(self, what: str) -> StoreError:
        assert self.directory is not None
        log = (self.directory / LOG_NAME).read_text(errors="replace").splitlines()
        exits = [number for number, line in enumerate(log) if _EXIT in line]
        # It may go on for many lines, of which the first say what is wrong.
        last = log[exits[-1] :][:_EXIT_LINES] if exits else log[-_LAST_LINES:]
        text = "\n".join(f"  {line}" for line in last)
        where = "" if self._temporary else f" of {self.directory / LOG_NAME}"
        return StoreError(f"the Mesos cluster {what}; its last lines{where}:\n{text}")
