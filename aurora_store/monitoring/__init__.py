"""How a replica is doing, over HTTP: metrics for Prometheus, health, and status as JSON.

    with MonitoringServer(store, candidate=candidate, address="127.0.0.1:9150") as server:
        ...

Reading the status of a store takes microseconds, so everything is read when it is asked for. See
``docs/monitoring.md``.
"""

from aurora_store.monitoring.metrics import StoreCollector
from aurora_store.monitoring.replicas import (
    METADATA_KEY,
    Look,
    Overview,
    Replica,
    look_at,
    replicas_of_election,
)
from aurora_store.monitoring.server import MonitoringServer

__all__ = [
    "METADATA_KEY",
    "Look",
    "MonitoringServer",
    "Overview",
    "Replica",
    "StoreCollector",
    "look_at",
    "replicas_of_election",
]
