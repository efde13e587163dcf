"""A store with policies, in a process of its own: what the tests here call in it."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import store_worker
from store_worker import (  # noqa: F401  (called by the tests)
    bulk,
    catch_up,
    checksums,
    close,
    lead,
    query,
    script,
    status,
    step_down,
    wait_for,
)

from aurora_store.maintenance import (
    HistoryPolicy,
    Policies,
    SnapshotPolicy,
    execute_truncation,
    plan_truncation,
)

_lines: list[str] = []


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _lines.append(record.getMessage())


logging.getLogger("aurora_store").addHandler(_Lines())
logging.getLogger("aurora_store").setLevel(logging.INFO)


def open_store(snapshot_bytes: int | None, snapshots: int | None, **options: Any) -> None:
    """A snapshot after so many bytes of log, or none; so many of them are kept, or all the log."""
    policies = Policies(
        snapshot=None if snapshot_bytes is None else SnapshotPolicy(snapshot_bytes, 0.0),
        history=None if snapshots is None else HistoryPolicy(snapshots),
        interval=0.1,
    )
    store_worker.open_store(maintenance=policies, **options)


def overwrite(times: int, kilobytes: int) -> int:
    """Transactions that replace one row of random bytes: the log grows, the database does not."""
    for _ in range(times):
        position = script(
            [
                "CREATE TABLE IF NOT EXISTS blob (id INTEGER PRIMARY KEY, b BLOB)",
                f"INSERT OR REPLACE INTO blob VALUES (1, randomblob({kilobytes * 1024}))",
            ]
        )
    return position


def upkeep() -> dict[str, Any]:
    """What maintenance tells; the jobs by name."""
    now = store_worker._opened().status()
    assert now.maintenance is not None
    found = asdict(now.maintenance)
    return {
        **found,
        "jobs": {job["name"]: job for job in found["jobs"]},
        "disk_bytes": store_worker._opened().log.disk_usage(),
        "snapshot_position": now.snapshot.position,
        "reason": now.reason,
    }


def snapshot() -> int:
    """By hand; returns its position."""
    return int(store_worker._opened().snapshot().position)


def truncate(snapshots: int) -> dict[str, Any]:
    """Plans and executes; what was planned."""
    store = store_worker._opened()
    plan = plan_truncation(store, HistoryPolicy(snapshots))
    execute_truncation(store, plan)
    return {"to": plan.to, "positions": plan.positions, "bytes": plan.disk_bytes, "why": plan.why}


def lines() -> list[str]:
    """What was logged so far."""
    return list(_lines)
