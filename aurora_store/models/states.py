"""The state machine of a task: what may follow what, and what follows from it.

`step` decides and changes nothing; `aurora_store.models.manager` does what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from aurora_store.models.values.enums import TERMINAL_STATES, ScheduleStatus

__all__ = ["TRANSITIONS", "Step", "StateChangeResult", "may_delete", "step"]

_S = ScheduleStatus
_ENDED: Final = frozenset({_S.FINISHED, _S.FAILED, _S.KILLED, _S.LOST})
_TAKEN_DOWN: Final = frozenset({_S.RESTARTING, _S.DRAINING, _S.PREEMPTING})
_ON_ITS_WAY_DOWN: Final = _ENDED | {_S.KILLING, _S.PARTITIONED}

TRANSITIONS: Final[Mapping[ScheduleStatus, frozenset[ScheduleStatus]]] = {
    _S.INIT: frozenset({_S.PENDING, _S.THROTTLED}),
    _S.THROTTLED: frozenset({_S.PENDING, _S.KILLING}),
    _S.PENDING: frozenset({_S.ASSIGNED, _S.KILLING}),
    _S.ASSIGNED: _ENDED | _TAKEN_DOWN | {_S.STARTING, _S.RUNNING, _S.KILLING},
    _S.STARTING: _ENDED | _TAKEN_DOWN | {_S.RUNNING, _S.KILLING, _S.PARTITIONED},
    _S.RUNNING: _ENDED | _TAKEN_DOWN | {_S.KILLING, _S.PARTITIONED},
    _S.PARTITIONED: _TAKEN_DOWN
    | {
        _S.LOST,
        _S.FAILED,
        _S.FINISHED,
        _S.RUNNING,
        _S.ASSIGNED,
        _S.STARTING,
        _S.KILLING,
    },
    _S.PREEMPTING: _ON_ITS_WAY_DOWN,
    _S.RESTARTING: _ON_ITS_WAY_DOWN,
    _S.DRAINING: _ON_ITS_WAY_DOWN,
    _S.KILLING: _ENDED | {_S.PARTITIONED},
    **{status: frozenset() for status in TERMINAL_STATES},
}
"""Status -> those that may follow. What ended, or is being killed, may also be deleted."""

_LAUNCHED: Final = frozenset({_S.ASSIGNED, _S.STARTING, _S.RUNNING})


class StateChangeResult(Enum):
    """What became of a wish to change a task's status."""

    SUCCESS = "success"
    NOOP = "noop"
    """It has that status already."""
    INVALID_CAS_STATE = "invalid cas state"
    """It has not the status that was expected."""
    ILLEGAL = "illegal"
    """The status cannot follow; nothing was written."""
    ILLEGAL_WITH_SIDE_EFFECTS = "illegal with side effects"
    """The same, and the task has to be killed: it runs, and must not."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done.

    Attributes:
        delete: the task goes: it was never launched.
        fail: it has failed once more.
        reschedule: another task takes its instance.
        kill: Mesos has to be told to kill it.
    """

    result: StateChangeResult
    delete: bool = False
    fail: bool = False
    reschedule: bool = False
    kill: bool = False


def step(
    before: ScheduleStatus | None,
    after: ScheduleStatus,
    *,
    is_service: bool,
    failures: int,
    max_failures: int,
) -> Step:
    """What follows if a task of status `before` is to have the status `after`.

    Args:
        before: `None` for a task that is not there.
        failures: how often it failed so far.
        max_failures: of its configuration; -1: any number.
    """
    if before == after:
        return Step(StateChangeResult.NOOP)
    if before is None or after not in TRANSITIONS[before]:
        # A task that is gone, ended, or on its way down, and yet is heard of.
        if after in _LAUNCHED and (
            before is None or before in TERMINAL_STATES or before in _TAKEN_DOWN | {_S.KILLING}
        ):
            return Step(StateChangeResult.ILLEGAL_WITH_SIDE_EFFECTS, kill=True)
        return Step(StateChangeResult.ILLEGAL)
    success = StateChangeResult.SUCCESS
    if after is _S.KILLING:
        if before in (_S.PENDING, _S.THROTTLED):
            return Step(success, delete=True)
        return Step(success, kill=True)
    if after in _TAKEN_DOWN:
        return Step(success, kill=True)
    if after in TERMINAL_STATES and before is not _S.KILLING:
        again = True
        if before not in _TAKEN_DOWN:
            if after is _S.FINISHED:
                again = is_service
            elif after is _S.FAILED:
                again = is_service or max_failures == -1 or failures + 1 < max_failures
        return Step(success, fail=after is _S.FAILED, reschedule=again, kill=after is _S.LOST)
    return Step(success, fail=after is _S.FAILED)


def may_delete(status: ScheduleStatus) -> bool:
    """Whether a task of that status may be deleted."""
    return status in TERMINAL_STATES or status is _S.KILLING
