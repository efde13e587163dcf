"""What the tests of a log of several replicas work on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness import Worker, free_ports

SpawnReplica = Callable[..., Worker]


def wait_until_recovered(workers: list[Worker]) -> None:
    """A new log bears the loss of a replica only after all of them have begun it."""
    for pending in [worker.start("ending") for worker in workers]:
        pending.result()


class Ensemble:
    """Three replicas with a static set of members."""

    def __init__(self, spawn_one: SpawnReplica, directory: Path) -> None:
        self._spawn = spawn_one
        self._directory = directory
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
        self.workers = [self.start(number) for number in range(3)]
        wait_until_recovered(self.workers)

    def start(self, number: int, *, auto_initialize: bool = True) -> Worker:
        """A process for a replica, new or as it was."""
        return self._spawn(
            directory=str(self._directory / str(number)),
            address=self.addresses[number],
            peers=self.addresses,
            auto_initialize=auto_initialize,
        )
