"""Work that is tried again and again, and never ends the store: `Job`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from aurora_store.errors import LeadershipLost, NotLeader, StoreClosed

__all__ = ["Job", "JobStatus"]

_logger = logging.getLogger("aurora_store.maintenance")
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 900.0


@dataclass(frozen=True)
class JobStatus:
    """What has become of a job so far.

    Attributes:
        name: of the job.
        done: how often it did something.
        failures: how often it failed, since the store was opened.
        failing: how often in a row; 0 once it went well.
        error: of the last failure; empty if it went well since.
    """

    name: str
    done: int = 0
    failures: int = 0
    failing: int = 0
    error: str = ""


class Job:
    """A step that is taken when it is due. One that fails is taken again after a growing pause.

    Args:
        name: for people and metrics: a word.
        step: does what is due, and returns what it did in a few words, or ``None`` for nothing.
        clock: seconds, as `time.monotonic`.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], str | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._step = step
        self._clock = clock
        self._not_before = clock()
        self.status = JobStatus(name)
        """Replaced as a whole: any thread may look."""

    def tick(self) -> None:
        """Takes the step, unless it failed a short time ago. Raises nothing."""
        if self._clock() < self._not_before:
            return
        was = self.status
        try:
            did = self._step()
        except (NotLeader, LeadershipLost, StoreClosed) as exc:
            # The next leader's business now.
            _logger.info("%s ended: %s", was.name, exc)
        except Exception as exc:
            self._failed(exc)
        else:
            if was.failing:
                _logger.warning("%s works again after %d failures", was.name, was.failing)
            if did is not None:
                _logger.info("%s: %s", was.name, did)
            self.status = JobStatus(was.name, was.done + (did is not None), was.failures)

    def _failed(self, exc: Exception) -> None:
        was = self.status
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**was.failing)
        self._not_before = self._clock() + pause
        error = str(exc) or type(exc).__name__
        _logger.warning(
            "%s failed, and is tried again in %g s: %s", was.name, pause, error, exc_info=exc
        )
        self.status = JobStatus(was.name, was.done, was.failures + 1, was.failing + 1, error)
