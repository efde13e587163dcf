"""What a framework's author writes: a pymesos scheduler with three more callbacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pymesos

if TYPE_CHECKING:
    from aurora_store.framework.driver import Driver


class Scheduler(pymesos.Scheduler):  # type: ignore[misc]  # pymesos has no types
    """A scheduler whose state is in the store. All callbacks are called by one thread.

    The callbacks are pymesos's. Each runs within a transaction, whose session is
    ``driver.session``; what arrives together shares one. What a callback asks of the driver
    (``launchTasks``, ``killTask``, ...) is sent once that transaction is durable, and status
    updates are acknowledged then: a row that is written before ``launchTasks`` is called is on a
    quorum before Mesos hears of the task. Neither happens if the commit fails.

    A callback that raises is undone: what it wrote is rolled back, what it asked for is not sent,
    its offers are declined, its update is not acknowledged and so comes again. The others that
    shared its transaction are then called again, each in a transaction of its own. So keep state
    in the store, not in the scheduler.
    """

    def prepare(self, driver: Driver) -> None:
        """At the beginning of each reign, before the driver is started: make or migrate tables."""

    def openTasks(self, driver: Driver) -> Iterable[dict[str, Any]]:  # noqa: N802
        """The tasks whose state is to be asked for after each registration.

        Each as ``{"task_id": {"value": ...}}``. Mesos answers with a status update, also for a task
        that it does not know (``TASK_LOST``): a task that was written down and, because its leader
        died, never launched. Tasks that only Mesos knows are asked for in any case.
        """
        return ()

    def statusUpdates(  # noqa: N802
        self, driver: Driver, updates: Sequence[dict[str, Any]]
    ) -> None:
        """All status updates that arrived together: override it to write them at once."""
        for update in updates:
            self.statusUpdate(driver, update)
