"""A scheduler on real pymesos, in a process that a test may kill.

pymesos wants to be imported in the main thread (it installs a signal handler), where the harness
imports this.
"""

from __future__ import annotations

import queue
from typing import Any

from harness import LIMIT
from pymesos import MesosSchedulerDriver, Scheduler


class Recorder(Scheduler):  # type: ignore[misc]  # pymesos has no types
    """Keeps what happens for the test; acknowledges and accepts nothing by itself."""

    def __init__(self) -> None:
        self.registrations: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self.offers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.updates: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def registered(self, _driver: Any, framework_id: dict[str, str], _master: Any) -> None:
        """The first time."""
        self.registrations.put(["registered", framework_id["value"]])

    def reregistered(self, driver: Any, _master: Any) -> None:
        """With an id that the framework had. Offers of a master before that are void."""
        while not self.offers.empty():
            self.offers.get()
        self.registrations.put(["reregistered", driver.framework_id])

    def resourceOffers(self, _driver: Any, offers: list[dict[str, Any]]) -> None:  # noqa: N802
        """pymesos's name."""
        for offer in offers:
            self.offers.put(offer)

    def statusUpdate(self, _driver: Any, update: dict[str, Any]) -> None:  # noqa: N802
        """pymesos's name."""
        self.updates.put(update)


scheduler = Recorder()
driver: Any = None


def start(master: str, framework_id: str | None = None) -> list[str]:
    """Starts the driver; returns how it was registered, and the framework's id."""
    global driver
    framework: dict[str, Any] = {"user": "nobody", "name": "test", "failover_timeout": 60.0}
    if framework_id is not None:
        framework["id"] = {"value": framework_id}
    driver = MesosSchedulerDriver(scheduler, framework, master, implicit_acknowledgements=False)
    driver.start()
    return registration()


def registration() -> list[str]:
    """How the driver was registered next, and the framework's id."""
    return scheduler.registrations.get(timeout=LIMIT)


def launch(name: str, command: str) -> None:
    """Launches a task on the next offer."""
    offer = scheduler.offers.get(timeout=LIMIT)
    resources = {"cpus": 0.1, "mem": 16.0}
    task = {
        "name": name,
        "task_id": {"value": name},
        "agent_id": offer["agent_id"],
        "resources": [
            {"name": kind, "type": "SCALAR", "scalar": {"value": value}}
            for kind, value in resources.items()
        ],
        "command": {"value": command},
    }
    driver.launchTasks(offer["id"], [task], {"refuse_seconds": 0.0})


def status(acknowledge: bool = True) -> list[str]:
    """The next task and its state."""
    update = scheduler.updates.get(timeout=LIMIT)
    if acknowledge and "uuid" in update:
        driver.acknowledgeStatusUpdate(update)
    return [update["task_id"]["value"], update["state"]]


def kill_task(name: str) -> None:
    """Asks for the end of a task."""
    driver.killTask({"value": name})


def reconcile() -> None:
    """Asks for the state of every task."""
    driver.reconcileTasks([])


def stop(failover: bool) -> None:
    """Stops the driver; its framework stays registered if `failover`."""
    driver.stop(failover)
    driver.join()
