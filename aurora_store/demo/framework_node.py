"""One candidate's process: the example framework, driven over its standard input.

Takes the arguments of `aurora_store.framework.example`, and requests as `aurora_store.demo.node`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any

from sqlalchemy import select, text

from aurora_store.demo.node import serve, take_output
from aurora_store.errors import StoreError
from aurora_store.framework import Framework, example
from aurora_store.store import Store


class FrameworkNode:
    """Answers the supervisor's requests."""

    def __init__(self, store: Store, framework: Framework) -> None:
        self._store = store
        self._framework = framework

    def wait_caught_up(self, timeout: float) -> int:
        """The position up to which this replica has read the log."""
        return int(self._store.wait_caught_up(timeout=timeout))

    def status(self) -> dict[str, Any]:
        """Of the framework."""
        return self._framework.status.as_json()

    def launch_no_more(self) -> None:
        """From now on an instance that ends is not launched again."""
        self._framework.scheduler.instances = 0

    def open_tasks(self) -> list[str]:
        """Tasks that have not ended, by this replica's account."""
        with self._store.read_session() as session:
            tasks = select(example.Task.id).where(example.Task.state.not_in(example.ENDED))
            return list(session.scalars(tasks))

    def transfer(self, to: str | None, timeout: float) -> dict[str, Any]:
        """Hands leadership over."""
        done = self._framework.candidate.transfer(to, timeout=timeout)
        return {"to": done.to, "gap_s": done.gap_s}

    def position(self) -> int:
        """The last position that is durable here."""
        return int(self._store.position)

    def inspect(self, position: int, timeout: float) -> dict[str, Any]:
        """What this replica has once it has applied `position`."""
        self._store.wait_for(position, timeout=timeout)
        with self._store.read() as connection:
            tasks = connection.execute(text("SELECT id, state FROM task")).all()
            events = connection.execute(text("SELECT task, state FROM task_event")).all()
        computed, kept = self._store.verify_checksum()
        status = self._store.status()
        return {
            "state": self._framework.status.state.value,
            "framework_id": self._framework.status.framework_id,
            "tasks": [list(row) for row in tasks],
            "events": [list(row) for row in events],
            "position": int(status.position),
            "version": status.version,
            "checksum": f"{status.checksum:016x}",
            "recomputed": f"{computed:016x}",
            "kept": f"{kept:016x}",
        }


def main() -> None:
    """Runs the example and serves requests until the input ends."""
    options = example.parse()
    out = take_output()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aurora_store.libmesos").setLevel(logging.WARNING)
    try:
        store, framework = example.build(options)
        framework.start()
    except StoreError as exc:
        sys.exit(f"{type(exc).__name__}: {exc}")
    threading.Thread(target=_end_with, args=(framework,), daemon=True).start()
    serve(FrameworkNode(store, framework), out)
    framework.close()
    store.close()
    os._exit(0)  # requests that wait do not hold it up


def _end_with(framework: Framework) -> None:
    try:
        framework.wait()
    except StoreError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr, flush=True)
        os._exit(exc.exit_code)


if __name__ == "__main__":
    main()
