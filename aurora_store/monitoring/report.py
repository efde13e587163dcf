"""The documents of a monitoring server: ``/status`` and ``/healthz``. Their fields are stable."""

from __future__ import annotations

import time
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aurora_store import __version__
from aurora_store.errors import StoreError
from aurora_store.monitoring.history import History, Recent
from aurora_store.status import PAGE_BYTES, Latency, SnapshotStatus, State, Status

if TYPE_CHECKING:
    from aurora_store.election import Candidate
    from aurora_store.maintenance import MaintenanceStatus
    from aurora_store.migrations.migrator import Migrator
    from aurora_store.store import Store

_STILL_LIMIT_S = 60.0  # for a replica that opens


def health(
    store: Store, candidate: Candidate | None, history: History
) -> tuple[HTTPStatus, dict[str, Any]]:
    """Whether requests should go to this replica, and if not, where to.

    Returns:
        200: it leads. 503: it follows, or is opening, or leads and its software does not fit the
        database, until it has migrated or stepped down; the leader, if known, is beside it. 500: it
        failed or was closed, or has been opening for a minute in which it read nothing.
    """
    status = store.status()
    code, role, reason = HTTPStatus.SERVICE_UNAVAILABLE, status.state.value, status.reason
    if status.state is State.LEADING:
        verdict = None if store.migrator is None else store.migrator.look()
        if store.migrator is None or (verdict is not None and verdict.may_read):
            code, role = HTTPStatus.OK, "leader"
        elif verdict is not None:
            reason = verdict.reason
    elif status.state in (State.FAILED, State.CLOSED):
        code = HTTPStatus.INTERNAL_SERVER_ERROR
    elif status.state is State.OPENING and history.still_for(status) > _STILL_LIMIT_S:
        code = HTTPStatus.INTERNAL_SERVER_ERROR
        reason = (
            f"{reason + ': ' if reason else ''}opening, and at position {status.position} for more"
            f" than {_STILL_LIMIT_S:g} s"
        )
    return code, {"status": role, "reason": reason, "leader": _leader(store, status, candidate)}


def status_document(store: Store, candidate: Candidate | None, history: History) -> dict[str, Any]:
    """All that there is to know about a replica."""
    status = store.status()
    recent = history.recent(status)
    return {
        "name": candidate.election.member.name if candidate is not None else store.host,
        "instance": store.instance,
        "software": f"aurora-store {__version__}",
        "state": status.state.value,
        "reason": status.reason,
        "epoch": status.epoch,
        "leader": _leader(store, status, candidate),
        "position": status.position,
        "log_ending": status.log_ending,
        "lag_entries": status.lag,
        "last_entry_age_s": status.last_entry_age_s,
        "version": status.version,
        # As text: not every reader of JSON has integers of 64 bits.
        "checksum": f"{status.checksum:016x}",
        "pages": status.pages,
        "database_bytes": status.pages * PAGE_BYTES,
        "pages_held": status.pages_held,
        "writers_waiting": status.writers_waiting,
        "readers": status.readers,
        "oldest_reader_age_versions": status.oldest_reader_age,
        "appends": status.appends,
        "bytes_appended": status.bytes_appended,
        "entries_applied": status.entries_applied,
        "bytes_applied": status.bytes_applied,
        "transactions": status.transactions,
        "heartbeats": status.heartbeats,
        "catchups": status.catchups,
        "rewinds": status.rewinds,
        "versions_taken_back": status.versions_taken_back,
        "reloads": status.reloads,
        "snapshot": _snapshot(status.snapshot),
        "maintenance": None if status.maintenance is None else _maintenance(status.maintenance),
        "latency_bounds_s": Latency.BOUNDS_S,
        "append_latency": _latency(status.append_latency),
        "commit_latency": _latency(status.commit_latency),
        "last_minute": _recent(recent),
        "candidate": None if candidate is None else _candidate(candidate),
        "schema": None if store.migrator is None else _schema(store.migrator, status),
    }


def _schema(migrator: Migrator, status: Status) -> dict[str, Any]:
    verdict = migrator.look()
    return {
        "standing": None if verdict is None else verdict.standing.value,
        "reason": "" if verdict is None else verdict.reason,
        "failed": verdict is not None and verdict.failed,
        "software": ", ".join(migrator.schema.heads),
        "leader": status.leader_schema,
    }


def _snapshot(snapshot: SnapshotStatus) -> dict[str, Any]:
    return {
        "state": snapshot.state.value,
        "position": snapshot.position,
        "version": snapshot.version,
        "age_s": snapshot.age_s,
        "bytes_since": snapshot.bytes_since,
    }


def _maintenance(maintenance: MaintenanceStatus) -> dict[str, Any]:
    return {
        "log_beginning": maintenance.log_beginning,
        "log_disk_bytes": maintenance.log_disk_bytes,
        "compacts": maintenance.compacts,
        "jobs": [asdict(job) for job in maintenance.jobs],
    }


def _recent(recent: Recent) -> dict[str, Any]:
    return {
        "seconds": recent.seconds,
        "append_latency": _summary(recent.append_latency),
        "commit_latency": _summary(recent.commit_latency),
    }


def _summary(latency: Latency) -> dict[str, Any]:
    return {
        "count": latency.count,
        "p50_s": _finite(latency.percentile(0.5)),
        "p99_s": _finite(latency.percentile(0.99)),
    }


def _finite(seconds: float | None) -> float | None:
    """JSON has no infinity."""
    return None if seconds == float("inf") else seconds


def _latency(latency: Latency) -> dict[str, Any]:
    return {"counts": latency.counts, "total_s": latency.total_s}


def _candidate(candidate: Candidate) -> dict[str, Any]:
    status = candidate.status
    return {
        "name": candidate.election.member.name,
        "address": candidate.election.member.address,
        "state": status.state.value,
        "reason": status.reason,
        "unfit": status.unfit,
        "for_s": time.monotonic() - status.since,
        "reigns": status.reigns,
    }


def _leader(store: Store, status: Status, candidate: Candidate | None) -> dict[str, Any] | None:
    """Who leads: as the election knows it or, without one, as the log told last."""
    if candidate is not None:
        try:
            leader = candidate.leader()
        except StoreError:
            leader = None  # whatever is in ZooKeeper, it is not the name of a leader
        if leader is None:
            return None
        return {"name": leader.name, "address": leader.member.address, "epoch": leader.epoch}
    if not status.leader_instance:
        return None
    return {"name": status.leader_host, "address": status.leader_host, "epoch": status.epoch}
