"""A store with a monitoring server, in a process of its own: what the tests here call in it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "election"))

import candidate_worker
import store_worker
from candidate_worker import stand, wait_leading  # noqa: F401  (called by the tests)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from store_worker import (  # noqa: F401  (called by the tests)
    catch_up,
    close,
    lead,
    open_store,
    script,
    status,
    step_down,
    wait_for,
)

from aurora_store.monitoring import MonitoringServer, report

_server: MonitoringServer | None = None
_readers = ExitStack()


def _serving() -> MonitoringServer:
    assert _server is not None
    return _server


def serve(**options: Any) -> str:
    """Starts the monitoring server; returns its address."""
    global _server
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s %(message)s")
    _server = MonitoringServer(store_worker._opened(), **options)
    return _server.address


def tell_of_candidate() -> None:
    _serving().candidate = candidate_worker._standing()


def stop_serving() -> None:
    _serving().close()
    _serving().close()


def served_threads() -> int:
    """Threads that answer a request now."""
    return sum("process_request" in each.name for each in threading.enumerate())


def commit(count: int) -> None:
    store = store_worker._opened()
    with store.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS n (n INTEGER)"))
    for number in range(count - 1):
        with store.begin() as connection:
            connection.execute(text("INSERT INTO n VALUES (:n)"), {"n": number})


def begin_reading() -> None:
    connection = _readers.enter_context(store_worker._opened().read())
    connection.execute(text("SELECT count(*) FROM n")).all()


def end_reading() -> None:
    _readers.close()


def give_up_opening_after(seconds: float) -> None:
    report._STILL_LIMIT_S = seconds


class _Snapshots(Collector):
    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("aurora_store_snapshots", "As another part would have it.", 7)


class _Broken(Collector):
    def collect(self) -> Iterator[Metric]:
        raise RuntimeError("cannot be collected")


def register(broken: bool = False) -> None:
    """Adds a collector to the server's, as other parts of an application do."""
    _serving().registry.register(_Broken() if broken else _Snapshots())


def snapshot() -> int:
    """Takes one; returns its position."""
    return int(store_worker._opened().snapshot().position)
