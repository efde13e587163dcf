"""What Prometheus gets: one look at the store's status per scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aurora_store import __version__
from aurora_store.status import PAGE_BYTES, Latency, State, Status

if TYPE_CHECKING:
    from aurora_store.election import Candidate
    from aurora_store.maintenance import MaintenanceStatus
    from aurora_store.migrations.migrator import Migrator
    from aurora_store.store import Store

_Number = Callable[[Status], float]

# (name after aurora_store_, help, value)
_GAUGES: tuple[tuple[str, str, _Number], ...] = (
    ("epoch", "Reign of the leader last heard of.", lambda s: s.epoch),
    ("position", "Log position applied or, on the leader, durable.", lambda s: s.position),
    ("log_ending_position", "End of the log as last seen.", lambda s: s.log_ending),
    ("lag_entries", "Entries of the log not applied yet.", lambda s: s.lag),
    ("database_version", "Transactions since the beginning.", lambda s: s.version),
    ("database_pages", "Size of the database in pages.", lambda s: s.pages),
    ("database_bytes", "Size of the database.", lambda s: s.pages * PAGE_BYTES),
    ("held_pages", "Pages in memory, all versions.", lambda s: s.pages_held),
    ("writers_waiting", "Transactions in line for the write lock.", lambda s: s.writers_waiting),
    ("readers", "Open transactions.", lambda s: s.readers),
    (
        "snapshot_position",
        "Where the newest complete snapshot begins; 0: none.",
        lambda s: s.snapshot.position,
    ),
    (
        "log_bytes_since_snapshot",
        "Of the log since the newest snapshot.",
        lambda s: s.snapshot.bytes_since,
    ),
    (
        "oldest_reader_age_versions",
        "Transactions made durable since the oldest open one began.",
        lambda s: s.oldest_reader_age,
    ),
)
_COUNTERS: tuple[tuple[str, str, _Number], ...] = (
    ("log_appended_entries", "Entries written to the log.", lambda s: s.appends),
    ("log_appended_bytes", "Bytes written to the log.", lambda s: s.bytes_appended),
    ("log_applied_entries", "Entries read from the log.", lambda s: s.entries_applied),
    ("log_applied_bytes", "Bytes read from the log.", lambda s: s.bytes_applied),
    ("transactions", "Transactions made durable as the leader.", lambda s: s.transactions),
    ("heartbeats", "Heartbeats appended as the leader.", lambda s: s.heartbeats),
    ("catch_ups", "Times that other replicas were asked for entries.", lambda s: s.catchups),
    ("rewinds", "Reigns that ended with versions taken back.", lambda s: s.rewinds),
    ("versions_taken_back", "Versions taken back by rewinds.", lambda s: s.versions_taken_back),
    ("reloads", "Copies dropped because they failed a check.", lambda s: s.reloads),
)
_LATENCIES: tuple[tuple[str, str, Callable[[Status], Latency]], ...] = (
    ("append_latency_seconds", "Append of an entry to a quorum.", lambda s: s.append_latency),
    ("commit_latency_seconds", "End of COMMIT to a quorum.", lambda s: s.commit_latency),
)


class StoreCollector(Collector):
    """Collects the metrics of a store, and of its candidate, at each scrape.

        REGISTRY.register(StoreCollector(store))

    `MonitoringServer` has one. Use it alone where the application serves its metrics already.

    Args:
        candidate: may be set later, as an attribute.
    """

    def __init__(self, store: Store, candidate: Candidate | None = None) -> None:
        self._store = store
        self.candidate = candidate

    def collect(self) -> Iterator[Metric]:
        """One look; prometheus_client's contract. Any thread may call it."""
        status = self._store.status()
        yield InfoMetricFamily("aurora_store", "The release.", {"version": __version__})
        yield _one_hot(
            "state", "1 for the state of the replica.", (each.value for each in State), status.state
        )
        for name, text, value in _GAUGES:
            yield GaugeMetricFamily(f"aurora_store_{name}", text, value(status))
        age = GaugeMetricFamily(
            "aurora_store_last_entry_age_seconds", "Since the last entry; missing before the first."
        )
        if status.last_entry_age_s is not None:
            age.add_metric((), status.last_entry_age_s)
        yield age
        snapshot_age = GaugeMetricFamily(
            "aurora_store_snapshot_age_seconds", "Of the newest one; missing if there is none."
        )
        if status.snapshot.age_s is not None:
            snapshot_age.add_metric((), status.snapshot.age_s)
        yield snapshot_age
        for name, text, value in _COUNTERS:
            yield CounterMetricFamily(f"aurora_store_{name}", text, value(status))
        for name, text, latency in _LATENCIES:
            yield _histogram(name, text, latency(status))
        if status.maintenance is not None:
            yield from _of_maintenance(status.maintenance)
        if self._store.migrator is not None:
            yield _of_schema(self._store.migrator)
        if self.candidate is not None:
            yield from _of_candidate(self.candidate)


def _of_maintenance(maintenance: MaintenanceStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "aurora_store_log_disk_bytes", "Of the log's directory.", maintenance.log_disk_bytes
    )
    yield GaugeMetricFamily(
        "aurora_store_log_beginning_position",
        "First position of the log not truncated.",
        maintenance.log_beginning,
    )
    done = CounterMetricFamily(
        "aurora_store_maintenance_done", "Times that a job did something.", labels=["upkeep"]
    )
    failures = CounterMetricFamily(
        "aurora_store_maintenance_failures", "Times that a job failed.", labels=["upkeep"]
    )
    failing = GaugeMetricFamily(
        "aurora_store_maintenance_failing", "Failures of a job in a row.", labels=["upkeep"]
    )
    for job in maintenance.jobs:
        done.add_metric([job.name], job.done)
        failures.add_metric([job.name], job.failures)
        failing.add_metric([job.name], job.failing)
    yield from (done, failures, failing)


def _of_schema(migrator: Migrator) -> Metric:
    from aurora_store.migrations import Standing

    verdict = migrator.look()
    return _one_hot(
        "schema",
        "1 for how the software stands to the database; all 0 while that cannot be read.",
        (each.value for each in Standing),
        None if verdict is None else verdict.standing,
        label="standing",
    )


def _of_candidate(candidate: Candidate) -> Iterator[Metric]:
    from aurora_store.election import CandidateState

    status = candidate.status
    states = (each.value for each in CandidateState)
    yield _one_hot("candidate_state", "1 for the state of the candidate.", states, status.state)
    yield GaugeMetricFamily(
        "aurora_store_candidate_fit", "1 unless its replica must not lead.", not status.unfit
    )
    yield CounterMetricFamily("aurora_store_candidate_reigns", "Times it led.", status.reigns)


def _one_hot(
    name: str, text: str, states: Iterable[str], now: Enum | None, *, label: str = "state"
) -> Metric:
    family = GaugeMetricFamily(f"aurora_store_{name}", text, labels=[label])
    for state in states:
        family.add_metric([state], now is not None and state == now.value)
    return family


def _histogram(name: str, text: str, latency: Latency) -> Metric:
    family = HistogramMetricFamily(f"aurora_store_{name}", text)
    seen, buckets = 0, []
    for bound, count in zip((*latency.BOUNDS_S, float("inf")), latency.counts, strict=True):
        seen += count
        buckets.append((_le(bound), seen))
    family.add_metric((), buckets, latency.total_s)
    return family


def _le(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(bound)
