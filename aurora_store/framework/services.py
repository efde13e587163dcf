"""What runs on the leader beside the scheduler: started in order, stopped in reverse."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from aurora_store.errors import WaitTimeout

_logger = logging.getLogger("aurora_store.framework")


class Service(Protocol):
    """Something that runs as long as this replica leads: started and stopped once per reign."""

    def start(self) -> object:
        """Returns when it runs. An exception ends the reign."""

    def stop(self) -> object:
        """Returns when nothing of it runs. Called once it was started, whatever became of it."""


class Services:
    """Services in an order. For one thread.

    Args:
        services: in the order of starting.
        limit: how long each may take to start, and to stop, in seconds.
    """

    def __init__(self, services: Sequence[Service], *, limit: float) -> None:
        self._services = tuple(services)
        self._limit = limit
        self._running: list[Service] = []

    def start(self) -> None:
        """Starts all. If one fails those before it stay started: `stop` is to be called.

        Raises:
            WaitTimeout: one did not start within the limit.
            Exception: whatever a service raises.
        """
        for service in self._services:
            self._running.append(service)
            self._run(service.start, f"{_name(service)} did not start")

    def stop(self) -> None:
        """Stops what was started, the last one first. What fails is logged, and does not hinder."""
        while self._running:
            service = self._running.pop()
            try:
                self._run(service.stop, f"{_name(service)} did not stop")
            except WaitTimeout as exc:
                _logger.error("%s; going on without it", exc.message)
            except Exception:
                _logger.exception("stopping %s", _name(service))

    def _run(self, call: Callable[[], object], what: str) -> None:
        raised: list[BaseException] = []

        def run() -> None:
            try:
                call()
            except BaseException as exc:
                raised.append(exc)

        thread = threading.Thread(target=run, name=what, daemon=True)
        thread.start()
        thread.join(self._limit)
        if thread.is_alive():
            raise WaitTimeout(f"{what} within {self._limit:g} s")
        if raised:
            raise raised[0]


def _name(service: Service) -> str:
    return f"the service {type(service).__name__}"
