"""What the tests of a store of several replicas work on, also those of `tests/soak`."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import Worker, free_ports, spawn

from aurora_store.libmesos import fetch

_WORKER = Path(__file__).with_name("store_worker.py")
CREATE_PAIRS = "CREATE TABLE pair (n INTEGER, half INTEGER, PRIMARY KEY (n, half))"


def spawn_store(workers: ExitStack, **options: Any) -> Worker:
    """Opens a store in a process of its own."""
    worker = workers.enter_context(spawn(_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())}))
    worker.call("open_store", **options)
    return worker


class Cluster:
    """Three replicas with a static set of members, or, with `zookeeper`, meeting there."""

    def __init__(
        self, workers: ExitStack, directory: Path, zookeeper: str | None = None, **options: Any
    ) -> None:
        self._workers = workers
        self._zookeeper = zookeeper
        self._options = options
        self.directory = directory
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
        self.replicas = [self._spawn(number, auto_initialize=True) for number in range(3)]
        for pending in [replica.start("catch_up") for replica in self.replicas]:
            pending.result()

    def _spawn(self, number: int, **options: Any) -> Worker:
        where: dict[str, Any] = {"address": self.addresses[number]}
        if self._zookeeper is None:
            where["peers"] = self.addresses
        else:
            where.update(zookeeper=self._zookeeper, quorum=2)
        return spawn_store(
            self._workers,
            directory=str(self.directory / str(number)),
            **where,
            **self._options,
            **options,
        )

    def restart(self, number: int) -> Worker:
        """Starts a killed replica again, as it was."""
        self.replicas[number] = self._spawn(number)
        return self.replicas[number]

    def agree(self, leader: int) -> int:
        """Waits until all replicas have what the leader has; asserts equal, true checksums."""
        position = self.replicas[leader].call("status")["position"]
        seen = set()
        for replica in self.replicas:
            replica.call("wait_for", position=position)
            recomputed, rolling = replica.call("checksums")
            assert recomputed == rolling, "a replica's rolling checksum is not that of its pages"
            seen.add((replica.call("status")["version"], rolling))
        assert len(seen) == 1, f"replicas at position {position} differ: {seen}"
        return int(position)


def check_pairs(replica: Worker, acknowledged: Path) -> set[int]:
    """Asserts that every acknowledged transaction is there, and no half; returns them all."""
    rows = replica.call("query", statement="SELECT n, count(*) FROM pair GROUP BY n")
    halves = [n for n, count in rows if count != 2]
    assert not halves, f"half a transaction: {halves}"
    there = {n for n, _ in rows}
    # The line that was being written at a kill may be cut short: it was not acknowledged yet.
    lines = acknowledged.read_text().splitlines(keepends=True) if acknowledged.exists() else []
    lost = {int(line) for line in lines if line.endswith("\n")} - there
    assert not lost, f"acknowledged and lost: {sorted(lost)}"
    return there


def wait_acknowledged(acknowledged: Path, more_than: int, *, limit: float = 30.0) -> int:
    """Waits until the file has more lines than that; returns how many."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        count = acknowledged.read_bytes().count(b"\n") if acknowledged.exists() else 0
        if count > more_than:
            return count
        time.sleep(0.005)
    raise TimeoutError(f"not more than {more_than} commits were acknowledged in {limit:g} s")
