"""Keeping a store's log and disk in bounds: policies, what they let go, and who does it.

    Store.open(directory, maintenance=Policies(history=HistoryPolicy(snapshots=3)))

`plan_truncation` says what a truncation would do, and `execute_truncation` does it.
"""

from aurora_store.maintenance.jobs import Job, JobStatus
from aurora_store.maintenance.maintenance import Maintenance, MaintenanceStatus
from aurora_store.maintenance.policies import HistoryPolicy, Policies, SnapshotPolicy
from aurora_store.maintenance.truncation import (
    TruncationPlan,
    execute_truncation,
    plan_truncation,
)

__all__ = [
    "HistoryPolicy",
    "Job",
    "JobStatus",
    "Maintenance",
    "MaintenanceStatus",
    "Policies",
    "SnapshotPolicy",
    "TruncationPlan",
    "execute_truncation",
    "plan_truncation",
]
