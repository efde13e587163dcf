"""Schedulers for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from harness import LIMIT
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from aurora_store import Store
from aurora_store.errors import LogUnavailable
from aurora_store.framework import Driver, Framework, example

Make = Callable[..., Framework]
"""Makes a framework of a store and a scheduler."""

_T = TypeVar("_T")


class Watched(example.KeepRunning):
    """The example's scheduler, which a test can watch and let fail."""

    def __init__(self, instances: int = 1, command: str = "sleep 1000") -> None:
        super().__init__(instances, command)
        self.calls: list[str] = []
        self.failing: dict[str, Callable[[Any], bool]] = {}
        """Callbacks that raise, if what they are called with is such."""
        self.batches: list[int] = []
        """How many updates arrived together, each time."""

    def _called(self, callback: str, argument: Any = None) -> None:
        self.calls.append(callback)
        if callback in self.failing and self.failing[callback](argument):
            raise RuntimeError(f"{callback} fails, as a test wants it to")

    def prepare(self, driver: Driver) -> None:
        self._called("prepare")
        super().prepare(driver)

    def registered(self, _driver: Driver, framework_id: Any, _master: Any) -> None:
        self._called("registered", framework_id)

    def reregistered(self, _driver: Driver, master: Any) -> None:
        self._called("reregistered", master)

    def disconnected(self, _driver: Driver) -> None:
        self._called("disconnected")

    def resourceOffers(self, driver: Driver, offers: list[dict[str, Any]]) -> None:  # noqa: N802
        super().resourceOffers(driver, offers)
        self._called("resourceOffers", offers)

    def statusUpdates(self, driver: Driver, updates: Any) -> None:  # noqa: N802
        self.batches.append(len(updates))
        super().statusUpdates(driver, updates)

    def statusUpdate(self, driver: Driver, update: dict[str, Any]) -> None:  # noqa: N802
        super().statusUpdate(driver, update)
        self._called("statusUpdate", update)


def wait(
    look: Callable[[], _T | None],
    what: str,
    limit: float = 2 * LIMIT,
    seen: Callable[[], object] = lambda: "",
) -> _T:
    """What `look` finds, once it finds something true; `seen` helps to see why it does not."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {limit:g} s: {what} {seen()}")


def tasks(store: Store) -> dict[str, str]:
    """Rows of the example's table, id and state; none as long as there is no such table."""
    try:
        with store.read_session() as session:
            rows = session.execute(select(example.Task.id, example.Task.state))
            return {name: state for name, state in rows}
    except (LogUnavailable, OperationalError):
        return {}


def events(store: Store, task: str) -> set[str]:
    """States of a task that an update with a uuid told."""
    with store.read_session() as session:
        rows = session.scalars(select(example.TaskEvent.state).filter_by(task=task))
        return set(rows)


def wait_running(store: Store, *names: str) -> None:
    """Until these tasks run, by the store."""

    def running() -> bool:
        rows = tasks(store)
        return all(rows.get(name) == "TASK_RUNNING" for name in names)

    wait(running, f"{names} run")


def wait_state(framework: Framework, state: str) -> None:
    """Until a framework is in that state."""
    wait(lambda: framework.status.state.value == state, f"it is {state}")
