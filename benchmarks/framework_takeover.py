"""Takeovers of a Mesos framework whose leader was killed, from the kill to being active again.

The run of ``tests/soak/test_framework_kills.py``: three candidates as processes, ZooKeeper, a real
master, tasks that come and go. What must hold afterwards is checked, too.
"""

from __future__ import annotations

import statistics

from aurora_store.demo.framework import Options, run
from benchmarks.settings import Row, Settings

SESSION_TIMEOUT_S = 1.0

_STEPS = {
    "detection": "detection (ZooKeeper's session timeout)",
    "election": "election (of the log)",
    "catch_up": "catch-up",
    "registration": "registration with Mesos",
    "total": "kill to active",
}


def measure(settings: Settings) -> list[Row]:
    """A row for each step: the least, the median and the longest of all takeovers."""
    options = Options(
        kills=2 if settings.quick else 100,
        early=0.0 if settings.quick else 0.3,
        pause_s=(0.2, 3.0),
        session_timeout=SESSION_TIMEOUT_S,
    )
    result = run(options, lambda *_: None)
    if result["differences"]:
        raise RuntimeError(f"not all that must hold does: {result['differences']}")
    rows = []
    for step, label in _STEPS.items():
        values = [each["ms"][step] for each in result["takeovers"]]
        rows.append(
            {
                "step": label,
                "kills": options.kills,
                "takeovers": len(values),
                "min_ms": round(min(values), 1),
                "median_ms": round(statistics.median(values), 1),
                "max_ms": round(max(values), 1),
            }
        )
    return rows
