"""Somebody who knows the model only by hearsay: what changes told, put together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aurora_store.events import Event
from aurora_store.models import (
    Change,
    CronJobChanged,
    CronJobRemoved,
    HostChanged,
    HostRemoved,
    JobKey,
    JobUpdateKey,
    JobUpdateStatus,
    MaintenanceChanged,
    MaintenanceMode,
    MaintenanceRemoved,
    QuotaChanged,
    QuotaRemoved,
    ScheduleStatus,
    TaskChanged,
    TaskDeleted,
    UpdateChanged,
    UpdateInstanceChanged,
    UpdateRemoved,
    change,
)


class Audience:
    """Hears changes, each once, and asserts that each is one of what it knew before."""

    def __init__(self) -> None:
        self.cursor = 0
        self.tasks: dict[str, ScheduleStatus] = {}
        self.updates: dict[JobUpdateKey, JobUpdateStatus] = {}
        self.instances: dict[JobUpdateKey, list[tuple[Any, ...]]] = {}
        self.cron_jobs: set[JobKey] = set()
        self.quotas: set[str] = set()
        self.agents: dict[str, tuple[str, MaintenanceMode]] = {}
        self.maintenance: set[str] = set()

    def hear(self, events: Iterable[Event]) -> list[Change]:
        """Returns the changes."""
        found = []
        for event in events:
            assert event.id > self.cursor, "out of order"
            self.cursor = event.id
            told = change(event)
            assert told is not None
            self._learn(told)
            found.append(told)
        return found

    def _learn(self, told: Change) -> None:
        match told:
            case TaskChanged(id=task, before=before, status=status):
                assert self.tasks.get(task) == before != status
                self.tasks[task] = status
            case TaskDeleted(id=task, status=status):
                assert self.tasks.pop(task) == status
            case UpdateChanged(key, before, update_status):
                assert self.updates.get(key) == before
                self.updates[key] = update_status
            case UpdateInstanceChanged(key, instance, action):
                self.instances.setdefault(key, []).append((instance, action))
            case UpdateRemoved(key):
                self.updates.pop(key, None)
                self.instances.pop(key, None)
            case CronJobChanged(job):
                self.cron_jobs.add(job)
            case CronJobRemoved(job):
                self.cron_jobs.remove(job)
            case QuotaChanged(role):
                self.quotas.add(role)
            case QuotaRemoved(role):
                self.quotas.remove(role)
            case HostChanged(agent, host, mode_before, mode):
                assert self.agents.get(agent, ("", None))[1] == mode_before
                self.agents[agent] = host, mode
            case HostRemoved(agent, host, mode):
                assert self.agents.pop(agent) == (host, mode)
            case MaintenanceChanged(host):
                self.maintenance.add(host)
            case MaintenanceRemoved(host):
                self.maintenance.remove(host)
