"""Three replicas with policies."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import Worker, spawn
from stores import Cluster

from aurora_store.libmesos import fetch

_WORKER = Path(__file__).with_name("upkeep_worker.py")

MIB = 1 << 20


class Upkept(Cluster):
    """Three replicas; `snapshot_bytes` and `snapshots` are the policies of `upkeep_worker`."""

    def _spawn(self, number: int, **options: Any) -> Worker:
        worker = self._workers.enter_context(
            spawn(_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())})
        )
        worker.call(
            "open_store",
            directory=str(self.directory / str(number)),
            address=self.addresses[number],
            peers=self.addresses,
            host=f"replica-{number}",
            **self._options,
            **options,
        )
        return worker


def wait_until(
    worker: Worker, condition: Callable[[dict[str, Any]], bool], *, limit: float = 120.0
) -> dict[str, Any]:
    """Waits until what a worker's maintenance tells fulfils the condition; returns that."""
    deadline = time.monotonic() + limit
    while True:
        found: dict[str, Any] = worker.call("upkeep")
        if condition(found):
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {limit:g} s: {found}")
        time.sleep(0.05)
