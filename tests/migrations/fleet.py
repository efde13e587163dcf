"""Three replicas under load, each a process with a release of the software of its own."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import Worker, WorkerError, free_ports, spawn
from package_copies import Release
from revision_files import write
from schema_text import READ_SCHEMA, normal_form
from stores import wait_acknowledged

from aurora_store import events, models
from aurora_store.libmesos import fetch
from aurora_store.log.files import Kind as ActionKind
from aurora_store.log.files import ReplicaDirectory
from aurora_store.migrations import Schema
from aurora_store.migrations.rehearsal import empty_database
from aurora_store.record import Kind, Leader, leader_of, read_record

_WORKER = Path(__file__).with_name("release_worker.py")
_HANDLED = (
    "farm_0001",
    "How many tasks got which status",
    None,
    True,
    ["CREATE TABLE handled (status TEXT PRIMARY KEY, tasks INTEGER NOT NULL)"],
    ["DROP TABLE handled"],
)


class Fleet:
    """Replicas 0, 1 and 2; all run `release` at first, and nobody leads."""

    def __init__(self, workers: ExitStack, directory: Path, release: Release) -> None:
        self._workers = workers
        self._directory = directory
        self._addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
        self._revisions = write(directory / "farm", [_HANDLED])
        self._history = directory / "history"
        self._loads = 0
        self.replicas: list[Worker] = []
        self.start_all(release, initialize=True)

    def _spawn(self, number: int, release: Release, *, initialize: bool = False) -> Worker:
        path = os.pathsep.join(map(str, (release.path, *_WORKER.parents[:2])))
        environment = {"AURORA_STORE_LIBMESOS": str(fetch()), "PYTHONPATH": path}
        worker = self._workers.enter_context(spawn(_WORKER, environment))
        version = worker.call(
            "open_store",
            revisions=str(self._revisions),
            directory=str(self._directory / str(number)),
            address=self._addresses[number],
            peers=self._addresses,
            host=f"replica-{number}",
            auto_initialize=initialize,
        )
        assert version == release.version
        return worker

    # ---- what an operator does ----

    def start(self, number: int, release: Release) -> Worker:
        """Starts a replica that has ended, with that release."""
        self.replicas[number] = self._spawn(number, release)
        self.replicas[number].call("catch_up")
        return self.replicas[number]

    def start_all(self, release: Release, *, initialize: bool = False) -> None:
        """Starts all, which have ended."""
        self.replicas = [self._spawn(each, release, initialize=initialize) for each in range(3)]
        for pending in [replica.start("catch_up") for replica in self.replicas]:
            pending.result()

    def replace(self, number: int, release: Release) -> Worker:
        """Ends a replica in good order, and starts it with that release."""
        self.replicas[number].call("close")
        self.replicas[number].finish()
        return self.start(number, release)

    def lead(self, number: int) -> Worker:
        """Makes a replica lead and write; returns it once it has written something."""
        self.replicas[number].call("lead")
        return self.load(number)

    def load(self, number: int) -> Worker:
        """Has the leader write; returns it once it has written something."""
        self.replicas[number].call("start_load", history=str(self._history), first=self._next())
        self.wait_for_changes()
        return self.replicas[number]

    def fill(self, number: int, count: int) -> None:
        """Has the leader make so many tasks at once."""
        self.replicas[number].call(
            "fill", history=str(self._history), first=self._next(), count=count
        )

    def _next(self) -> int:
        """The first instance of those that nobody has yet."""
        self._loads += 1
        return self._loads * 1_000_000

    def wait_for_changes(self) -> None:
        """Waits until the leader has written something more."""
        count = wait_acknowledged(self._history, 0) if self._history.exists() else 0
        wait_acknowledged(self._history, count + 60)

    def follow(self, leader: int) -> None:
        """Waits until the others have all that this one has now."""
        position = self.replicas[leader].call("status")["position"]
        for replica in self.replicas:
            if replica.running:
                replica.call("wait_for", position=position)

    # ---- what must be so ----

    def refused(self, number: int, function: str, why: str) -> None:
        """Asserts that the software of a replica does not fit the database."""
        try:
            self.replicas[number].call(function)
        except WorkerError as error:
            assert error.type == "SchemaMismatch", error.trace
            assert why in error.message
        else:
            raise AssertionError(f"replica {number} did {function}")

    def check(self, leader: int) -> None:
        """Stops the load; asserts that all three have all that was acknowledged, and the same."""
        self.replicas[leader].call("stop_load")
        self.follow(leader)
        seen = set()
        found: dict[str, Any] = {}
        for replica in self.replicas:
            recomputed, rolling = replica.call("checksums")
            assert recomputed == rolling, "a replica's rolling checksum is not that of its pages"
            seen.add((replica.call("status")["version"], rolling))
            found = replica.call("contents")
            self._check_history(found)
        assert len(seen) == 1, f"replicas differ: {seen}"
        assert set(map(tuple, found["told"])) == {
            (int(instance), status)
            for instance, statuses in found["tasks"].items()
            for status in statuses
        }
        assert found["handled"] == Counter(status for _, status in found["told"])

    def _check_history(self, found: dict[str, Any]) -> None:
        there = {int(instance): statuses for instance, statuses in found["tasks"].items()}
        done: dict[int, list[str]] = {}
        tried: dict[int, str] = {}
        for line in self._history.read_text().splitlines():
            instance, status, what = line.split()
            if what == "done":
                done.setdefault(int(instance), []).append(status)
            else:
                tried[int(instance)] = status
        for number in sorted(tried.keys() | there.keys()):
            acknowledged = done.get(number, [])
            # The last one may be there although nobody was told so: its leader was killed.
            assert there.get(number, []) in (acknowledged, [*acknowledged, tried[number]]), number

    def check_schema_is_that_of_this_release(self, *numbers: int) -> None:
        """Asserts that the replicas' tables are those of a database that it makes itself."""
        schema = Schema(models.REVISIONS, events.REVISIONS, self._revisions)
        with empty_database() as connection:
            schema.upgrade(connection)
            fresh = normal_form(connection.exec_driver_sql(READ_SCHEMA))
        for number in numbers:
            assert normal_form(self.replicas[number].call("schema_rows")) == fresh

    def leaders(self) -> list[Leader]:
        """Who led, in order, by the log of replica 0. Closes the replicas."""
        for replica in self.replicas:
            replica.call("close")
        entries = ReplicaDirectory.read(self._directory / "0").entries()
        return [
            leader_of(entry.data)
            for entry in entries
            if entry.kind is ActionKind.APPEND and read_record(entry.data).kind is Kind.LEADER
        ]
