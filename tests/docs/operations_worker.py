"""A replica with a monitoring server in a process of its own, for docs/operations.md."""

from __future__ import annotations

import store_worker
from store_worker import (  # noqa: F401  (called by the tests)
    catch_up,
    close,
    lead,
    open_store,
    query,
    script,
    status,
    step_down,
    wait_for,
    wait_not_leading,
)

from aurora_store.monitoring import MonitoringServer

_server: MonitoringServer | None = None


def serve(address: str) -> None:
    """Kept, so that it is not collected."""
    global _server
    _server = MonitoringServer(store_worker._opened(), address=address)
