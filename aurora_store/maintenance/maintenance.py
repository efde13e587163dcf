"""The thread of a store that keeps its log and its disk in bounds: `Maintenance`."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from aurora_store.log import NoAnswer, Position
from aurora_store.maintenance.jobs import Job, JobStatus
from aurora_store.maintenance.policies import Policies
from aurora_store.maintenance.truncation import execute_truncation, plan_truncation
from aurora_store.status import PAGE_BYTES, State

if TYPE_CHECKING:
    from aurora_store.store import Store

__all__ = ["Maintenance", "MaintenanceStatus"]

_logger = logging.getLogger("aurora_store.maintenance")
_ANSWER_S = 1.0  # of the local replica; a new one may have to wait for its peers
_COMPACTION_S = 3600.0


@dataclass(frozen=True)
class MaintenanceStatus:
    """What maintenance saw and did. As old as the interval of `Policies`, at most.

    Attributes:
        log_beginning: first position of this replica's log; 0 also until it answered once.
        log_disk_bytes: of all files in the log's directory.
        compacts: whether this libmesos frees the disk while it runs; if not, only a restart does.
        jobs: "compaction", "snapshot", "truncation", "tokens" and "backup".
    """

    log_beginning: Position
    log_disk_bytes: int
    compacts: bool
    jobs: tuple[JobStatus, ...]

    @property
    def failing(self) -> tuple[JobStatus, ...]:
        """The jobs whose last attempt failed."""
        return tuple(job for job in self.jobs if job.failing)


class Maintenance:
    """Does what `Policies` say, in a thread of its own. Made by `Store.open`.

    The leader takes snapshots and truncates the log after them; every replica frees its own disk
    once it has learned of a truncation. What fails is logged, told by `status`, and tried again
    after a growing pause; the store goes on.
    """

    def __init__(self, store: Store, policies: Policies) -> None:
        self._store = store
        self._policies = policies
        self._stop = threading.Event()
        self._jobs = [
            Job("compaction", self._compact),
            Job("snapshot", self._snapshot),
            Job("truncation", self._truncate),
            Job("tokens", self._expire_tokens),
            Job("backup", self._backup),
        ]
        self._beginning = Position(0)
        self._compacted: Position | None = None  # opening a directory compacts it
        self._opened_at = datetime.now(timezone.utc)
        self._planned_for = 0  # the newest snapshot when a truncation was planned last
        self._disk_bytes = store.log.disk_usage()
        self._compacts = store.log.can_compact
        if not self._compacts:
            _logger.warning(
                "this libmesos does not let the log in %s be compacted while it runs: what is"
                " truncated leaves the disk when the replica is restarted",
                store.log.directory,
            )
        self._thread = threading.Thread(
            target=self._run, name=f"aurora-maintenance-{store.name}", daemon=True
        )

    def start(self) -> None:
        """Begins; once."""
        self._thread.start()

    def status(self) -> MaintenanceStatus:
        """At once: what the last look found."""
        return MaintenanceStatus(
            self._beginning,
            self._disk_bytes,
            self._compacts,
            tuple(job.status for job in self._jobs),
        )

    def stop(self) -> None:
        """Begins no further job. Idempotent; `join` waits for one under way, which ends with the
        store or the log that it works on."""
        self._stop.set()

    def join(self, timeout: float = 10.0) -> None:
        """Waits until the thread, which was started, has ended."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            for job in self._jobs:
                if not self._stop.is_set():
                    job.tick()
            self._disk_bytes = self._store.log.disk_usage()
            self._pause()

    def _pause(self) -> None:
        """Until the next look. What is due on a replica that opens is due once it has caught up."""
        interval = self._policies.interval
        if self._store.status().state is State.OPENING:
            self._store.wait_state_change(State.OPENING, timeout=interval)
        else:
            self._stop.wait(interval)

    def _compact(self) -> str | None:
        try:
            self._beginning = self._store.log.beginning(timeout=_ANSWER_S)
        except NoAnswer:
            return None  # a replica that recovers does not answer yet
        if self._compacted is None:
            self._compacted = self._beginning
        if self._beginning == self._compacted or not self._compacts:
            return None
        before = self._store.log.disk_usage()
        compacted = self._store.log.compact(timeout=_COMPACTION_S)
        self._compacted = compacted
        after = self._store.log.disk_usage()
        return f"the log begins at {compacted}; the directory went from {before} to {after} bytes"

    def _snapshot(self) -> str | None:
        policy, status = self._policies.snapshot, self._store.status()
        if policy is None or status.state is not State.LEADING:
            return None
        newest = status.snapshot
        since = self._opened_at if newest.time is None else newest.time
        reason = policy.why(
            log_bytes=newest.bytes_since,
            database_bytes=status.pages * PAGE_BYTES,
            age=datetime.now(timezone.utc) - since,
            changed=status.version > newest.version,
        )
        if reason is None:
            return None
        _logger.info("a snapshot begins: %s", reason)
        taken = self._store.snapshot()
        return f"version {taken.version} at position {taken.position}; {reason}"

    def _truncate(self) -> str | None:
        policy, status = self._policies.history, self._store.status()
        if policy is None or status.state is not State.LEADING:
            return None
        newest = status.snapshot.position
        # History by time lets the log's beginning go a while after the snapshot, so look again.
        if newest == self._planned_for and policy.time == timedelta(0):
            return None
        plan = plan_truncation(self._store, policy)
        execute_truncation(self._store, plan)
        self._planned_for = newest
        if plan.positions == 0:
            return None
        return f"the log begins at {plan.to} instead of {plan.beginning}: {plan.why}"

    def _expire_tokens(self) -> str | None:
        age = self._policies.tokens
        if age is None or self._store.status().state is not State.LEADING:
            return None
        forgotten = self._store.expire_tokens(age)
        return f"{forgotten} tokens older than {age} forgotten" if forgotten else None

    def _backup(self) -> str | None:
        schedule, status = self._policies.backups, self._store.status()
        if schedule is None or status.state not in (State.LEADING, State.STANDBY):
            return None
        # A backup of a database that nobody has begun would put off the first one of any use.
        if status.version == 0 or not schedule.due():
            return None
        return f"position {schedule.run(self._store).position}"
