"""Three replicas that stand for election."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from harness import Worker, spawn
from stores import CREATE_PAIRS, Cluster

from aurora_store.libmesos import fetch

_T = TypeVar("_T")

_WORKER = Path(__file__).with_name("candidate_worker.py")
_ENTRY_WORKER = Path(__file__).parents[1] / "store" / "entry_worker.py"

NAMES = ("red", "green", "blue")


def _spawn_worker(workers: ExitStack, module: Path) -> Worker:
    return workers.enter_context(spawn(module, {"AURORA_STORE_LIBMESOS": str(fetch())}))


def spawn_store(workers: ExitStack, **options: Any) -> Worker:
    """Opens a store that can stand, in a process of its own."""
    worker = _spawn_worker(workers, _WORKER)
    worker.call("open_store", **options)
    return worker


def write_foreign_entry(workers: ExitStack, directory: Path) -> None:
    """Makes a log of one replica with an entry that no store wrote."""
    writer = _spawn_worker(workers, _ENTRY_WORKER)
    writer.call("write_entries", directory=str(directory), entries=[b"not ours".hex()])
    writer.kill()


class Electorate(Cluster):
    """Three replicas with static peers, in processes that can stand."""

    def __init__(self, workers: ExitStack, directory: Path, **options: Any) -> None:
        self.acknowledged = directory / "acknowledged"
        super().__init__(workers, directory, **options)

    def _spawn(self, number: int, **options: Any) -> Worker:
        return spawn_store(
            self._workers,
            directory=str(self.directory / str(number)),
            address=self.addresses[number],
            peers=self.addresses,
            # Each calls itself something else in the log, as they would on machines of their own.
            host=f"{NAMES[number]}:8080",
            **self._options,
            **options,
        )

    # ---- standing ----

    def stand(self, number: int, **election: Any) -> Worker:
        """Lets one stand."""
        worker = self.replicas[number]
        worker.call("stand", name=NAMES[number], **election)
        return worker

    def stand_all(self, **election: Any) -> None:
        """Lets all stand, the first one first, so that it leads."""
        self.stand(0, **election)
        self.replicas[0].call("wait_leading")
        for number in (1, 2):
            self.stand(number, **election)

    # ---- writing ----

    def write(self) -> None:
        """Lets every candidate write while it leads, from the next reign on."""
        self.replicas[0].call("script", statements=[CREATE_PAIRS])
        for number in range(3):
            self.write_when_leading(number)

    def write_when_leading(self, number: int) -> None:
        self.replicas[number].call(
            "write_while_leading", writers=4, acknowledged=str(self.acknowledged)
        )

    def stop_writing(self) -> None:
        """Of every replica that is up; waits until none writes."""
        for replica in self.replicas:
            if replica.running:
                replica.call("stop_writing")

    def count_acknowledged(self) -> int:
        """How many commits all of them together were acknowledged."""
        return self.acknowledged.read_bytes().count(b"\n") if self.acknowledged.exists() else 0

    def first_commit_after(self, number: int, moment: float) -> float:
        """When that replica's first commit after that moment returned."""
        commit = self._wait(
            lambda: self.replicas[number].call("first_commit_after", moment=moment),
            f"{NAMES[number]} commits nothing",
        )
        return float(commit)

    # ---- waiting ----

    def wait_leader(self, *numbers: int, limit: float = 30.0) -> int:
        """Which of these leads, once one does."""

        def leading() -> int | None:
            for number in numbers:
                if self._status(number)["state"] == "leading":
                    return number
            return None

        return self._wait(leading, "nobody leads", limit)

    def wait_epoch(self, *numbers: int, epoch: int) -> int:
        """Which of these leads in that epoch, or a later one, once one does."""

        def leading() -> int | None:
            number = self.wait_leader(*numbers)
            reached = self.replicas[number].call("status")["epoch"] >= epoch
            return number if reached else None

        return self._wait(leading, f"nobody leads in epoch {epoch}")

    def wait_advertised(self, number: int, *, epoch: int) -> dict[str, Any]:
        """The leader as that replica sees it, once it leads in that epoch."""

        def seen() -> dict[str, Any] | None:
            leader: dict[str, Any] | None = self.replicas[number].call("leader")
            return leader if leader and leader["epoch"] == epoch else None

        return self._wait(seen, f"{NAMES[number]} sees no leader of epoch {epoch}")

    def wait_candidates(self, number: int, names: list[str]) -> None:
        """Until that replica sees exactly these."""

        def seen() -> bool | None:
            try:
                return bool(self.replicas[number].call("candidates") == names) or None
            except Exception:  # while ZooKeeper is away
                return None

        self._wait(seen, f"{NAMES[number]} does not see {names}")

    def wait_state(self, number: int, state: str, reason: str = "") -> dict[str, Any]:
        """The status of a candidate, once it is in that state, and for that reason."""

        def reached() -> dict[str, Any] | None:
            status = self._status(number)
            return status if status["state"] == state and reason in status["reason"] else None

        return self._wait(reached, f"{NAMES[number]} is never {state}")

    def wait_events(self, number: int, count: int) -> list[dict[str, Any]]:
        """What the callbacks of a candidate have heard, once it is so much."""

        def heard() -> list[dict[str, Any]] | None:
            events: list[dict[str, Any]] = self.replicas[number].call("events")
            return events if len(events) >= count else None

        return self._wait(heard, f"{NAMES[number]} has not heard {count} times")

    def _status(self, number: int) -> dict[str, Any]:
        status: dict[str, Any] = self.replicas[number].call("candidate_status")
        return status

    def _wait(self, look: Callable[[], _T | None], failure: str, limit: float = 30.0) -> _T:
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            found = look()
            if found is not None:
                return found
            time.sleep(0.005)
        raise TimeoutError(f"{failure}, for {limit:g} s: {[r.stderr() for r in self.replicas]}")
