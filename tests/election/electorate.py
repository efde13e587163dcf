"""Three replicas that stand for election."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import Worker, free_ports, spawn
from stores import CREATE_PAIRS, Cluster

from aurora_store.libmesos import fetch

_WORKER = Path(__file__).with_name("candidate_worker.py")

NAMES = ("red", "green", "blue")


class Electorate(Cluster):
    """Three replicas with static peers, in processes that can stand."""

    def __init__(self, workers: ExitStack, directory: Path, **options: Any) -> None:
        self.election: dict[str, Any] = {}
        self.acknowledged = directory / "acknowledged"
        super().__init__(workers, directory, **options)

    def _spawn(self, number: int, **options: Any) -> Worker:
        worker = self._workers.enter_context(
            spawn(_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())})
        )
        worker.call(
            "open_store",
            directory=str(self.directory / str(number)),
            address=self.addresses[number],
            peers=self.addresses,
            **self._options,
            **options,
        )
        return worker

    def stand(self, number: int, **options: Any) -> Worker:
        """Lets one stand, with the options of all and its own."""
        worker = self.replicas[number]
        worker.call("stand", name=NAMES[number], **{**self.election, **options})
        return worker

    def stand_all(self, **election: Any) -> int:
        """Lets all stand, the first one first, so that it leads."""
        self.election = election
        self.stand(0)
        self.replicas[0].call("wait_leading")
        for number in (1, 2):
            self.stand(number)
        return 0

    def write(self) -> None:
        """Lets every candidate write while it leads; the one that leads now begins."""
        self.replicas[0].call("script", statements=[CREATE_PAIRS])
        for replica in self.replicas:
            replica.call("write_while_leading", writers=4, acknowledged=str(self.acknowledged))

    def wait_leader(self, *numbers: int, limit: float = 30.0) -> int:
        """Which of these leads, once one does."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            for number in numbers:
                if self.replicas[number].call("candidate_status")["state"] == "leading":
                    return number
            time.sleep(0.01)
        states = {n: self.replicas[n].call("candidate_status") for n in numbers}
        raise TimeoutError(f"nobody leads after {limit:g} s: {states}")


__all__ = ["NAMES", "Electorate", "free_ports"]
