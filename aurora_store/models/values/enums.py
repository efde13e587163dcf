"""The enumerations of the model. Their numbers are Aurora's, and are what the tables hold."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "ACTIVE_STATES",
    "ACTIVE_UPDATE_STATES",
    "ASSIGNED_STATES",
    "CronCollisionPolicy",
    "JobUpdateAction",
    "JobUpdateStatus",
    "MaintenanceMode",
    "ScheduleStatus",
    "TERMINAL_STATES",
    "TERMINAL_UPDATE_STATES",
    "VolumeMode",
]


class ScheduleStatus(IntEnum):
    """What a task is doing. `aurora_store.models.states` says what may follow what."""

    PENDING = 0
    STARTING = 1
    RUNNING = 2
    FINISHED = 3
    FAILED = 4
    KILLED = 5
    KILLING = 6
    LOST = 7
    ASSIGNED = 9
    INIT = 11
    RESTARTING = 12
    PREEMPTING = 13
    THROTTLED = 16
    DRAINING = 17
    PARTITIONED = 18


TERMINAL_STATES: Final = frozenset(
    {ScheduleStatus.FAILED, ScheduleStatus.FINISHED, ScheduleStatus.KILLED, ScheduleStatus.LOST}
)
"""Nothing follows but the task's deletion."""
ACTIVE_STATES: Final = frozenset(ScheduleStatus) - TERMINAL_STATES - {ScheduleStatus.INIT}
"""The task runs, or is to run; it has its instance of the job, and counts against the quota."""
ASSIGNED_STATES: Final = ACTIVE_STATES - {ScheduleStatus.PENDING, ScheduleStatus.THROTTLED}
"""An agent has the task."""


class JobUpdateStatus(IntEnum):
    """How far an update of a job is."""

    ROLLING_FORWARD = 0
    ROLLING_BACK = 1
    ROLL_FORWARD_PAUSED = 2
    ROLL_BACK_PAUSED = 3
    ROLLED_FORWARD = 4
    ROLLED_BACK = 5
    ABORTED = 6
    ERROR = 7
    FAILED = 8
    ROLL_FORWARD_AWAITING_PULSE = 9
    ROLL_BACK_AWAITING_PULSE = 10


TERMINAL_UPDATE_STATES: Final = frozenset(
    {
        JobUpdateStatus.ROLLED_FORWARD,
        JobUpdateStatus.ROLLED_BACK,
        JobUpdateStatus.ABORTED,
        JobUpdateStatus.ERROR,
        JobUpdateStatus.FAILED,
    }
)
ACTIVE_UPDATE_STATES: Final = frozenset(JobUpdateStatus) - TERMINAL_UPDATE_STATES


class JobUpdateAction(IntEnum):
    """What an update did to one instance."""

    INSTANCE_UPDATED = 1
    INSTANCE_ROLLED_BACK = 2
    INSTANCE_UPDATING = 3
    INSTANCE_ROLLING_BACK = 4
    INSTANCE_UPDATE_FAILED = 5
    INSTANCE_ROLLBACK_FAILED = 6


class CronCollisionPolicy(IntEnum):
    """What becomes of a run of a cron job while the last one still runs."""

    KILL_EXISTING = 0
    CANCEL_NEW = 1
    RUN_OVERLAP = 2


class MaintenanceMode(IntEnum):
    """Whether a host takes tasks."""

    NONE = 1
    SCHEDULED = 2
    DRAINING = 3
    DRAINED = 4


class VolumeMode(IntEnum):
    """How a container has a volume."""

    RW = 1
    RO = 2
