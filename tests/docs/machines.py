"""The machines of docs/operations.md: folders and ports of this one, and the page's commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import Worker, free_ports, spawn

from aurora_store.libmesos import fetch

_PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
_WORKER = Path(__file__).with_name("operations_worker.py")
_LIMIT_S = 120.0


def commands(heading: str) -> list[str]:
    """The commands of a section, in order, without their comments."""
    _, found, rest = _PAGE.read_text().partition(f"\n## {heading}\n")
    assert found, f"docs/operations.md has no section {heading}"
    section = rest.partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line]


def python_blocks() -> list[str]:
    """All code in Python of the page."""
    return re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)


class Machines:
    """Some machines with a replica each. Number 1 is the page's 10.0.0.1.

    Args:
        root: the folder of machine n is ``root/n``, which stands for its ``/var/lib/scheduler``.
    """

    def __init__(self, stack: ExitStack, root: Path, count: int = 3) -> None:
        self._stack = stack
        self.root = root
        self.backups = root / "backup"
        self.backups.mkdir(parents=True, exist_ok=True)
        ports = free_ports(2 * count)
        self.members = [f"127.0.0.1:{port}" for port in ports[:count]]
        self.monitors = [f"127.0.0.1:{port}" for port in ports[count:]]
        self.replicas: dict[int, Worker] = {}
        for number in self.numbers:
            self.folder(number).mkdir(exist_ok=True)

    @property
    def numbers(self) -> range:
        """Of the machines."""
        return range(1, len(self.members) + 1)

    def folder(self, number: int) -> Path:
        """What is ``/var/lib/scheduler`` there."""
        return self.root / str(number)

    def log(self, number: int) -> Path:
        """The log directory there."""
        return self.folder(number) / "log"

    def start(self, *numbers: int, **options: Any) -> None:
        """Starts replicas, all at once, and waits until they have caught up."""
        environment = {"AURORA_STORE_LIBMESOS": str(fetch())}
        for number in numbers:
            replica = self._stack.enter_context(spawn(_WORKER, environment))
            self.replicas[number] = replica
            address = self.members[number - 1]
            replica.call(
                "open_store",
                directory=str(self.log(number)),
                address=address,
                peers=self.members,
                host=f"10.0.0.{number}:8080",
                heartbeat=0,
                append_timeout=2.0,
                **options,
            )
            replica.call("serve", address=self.monitors[number - 1])
        for pending in [self.replicas[number].start("catch_up") for number in numbers]:
            pending.result()

    def stop(self, *numbers: int) -> None:
        """Ends replicas in good order."""
        for number in numbers:
            replica = self.replicas.pop(number)
            replica.call("close")
            replica.finish()

    def agree(self, statement: str, leader: int) -> list[list[Any]]:
        """What every replica that runs answers, once it has what the leader has."""
        position = self.replicas[leader].call("status")["position"]
        answers = []
        for replica in self.replicas.values():
            replica.call("wait_for", position=position)
            answers.append(replica.call("query", statement=statement))
        assert all(answer == answers[0] for answer in answers), answers
        return answers[0]

    def run(
        self, lines: list[str], on: int, *, codes: dict[str, int] | None = None, **words: str
    ) -> list[subprocess.CompletedProcess[str]]:
        """Runs commands of the page on a machine, one after the other.

        Args:
            codes: exit codes that are not 0, by a part of the command.
            words: more texts of the page to replace, with ``_`` for what cannot be in a name.
        """
        return [self._run(line, on, codes or {}, words) for line in lines]

    def _run(
        self, line: str, on: int, codes: dict[str, int], words: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        there = {"/var/lib/scheduler": str(self.folder(on)), "/backup": str(self.backups)}
        monitors = {f"10.0.0.{n}:9150": self.monitors[n - 1] for n in self.numbers}
        for shown, real in {**there, **monitors, **words}.items():
            line = line.replace(shown, real)
        environment = {
            **os.environ,
            "AURORA_STORE_LIBMESOS": str(fetch()),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
            env=environment,
        )
        expected = next((code for part, code in codes.items() if part in line), 0)
        assert done.returncode == expected, f"{line}\n{done.stdout}{done.stderr}"
        return done
