"""What a store is doing, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from aurora_store.log import Position
from aurora_store.native import ffi, lib, text
from aurora_store.record import time_of

if TYPE_CHECKING:
    from aurora_store.maintenance import MaintenanceStatus

__all__ = [
    "PAGE_BYTES",
    "Latency",
    "LeadTiming",
    "SnapshotState",
    "SnapshotStatus",
    "State",
    "Status",
    "read_status",
]

PAGE_BYTES = 4096


class State(Enum):
    """Where a replica is in its life: ``opening -> standby -> electing -> leading -> standby``."""

    OPENING = "opening"
    STANDBY = "standby"
    ELECTING = "electing"
    LEADING = "leading"
    FAILED = "failed"
    CLOSED = "closed"


_STATES = {
    lib.AUR_OPENING: State.OPENING,
    lib.AUR_STANDBY: State.STANDBY,
    lib.AUR_ELECTING: State.ELECTING,
    lib.AUR_LEADING: State.LEADING,
    lib.AUR_FAILED_STATE: State.FAILED,
    lib.AUR_CLOSED_STATE: State.CLOSED,
}


@dataclass(frozen=True)
class LeadTiming:
    """How long each step of becoming leader took, in seconds.

    Attributes:
        position: of this reign's LEADER entry.
        election_s: until a quorum promised to follow no older leader.
        catch_up_s: reading what the log had beyond this replica's copy.
        leader_entry_s: until the LEADER entry was on a quorum.
    """

    position: Position
    election_s: float
    catch_up_s: float
    leader_entry_s: float


def _bounds() -> tuple[float, ...]:
    bounds = ffi.new("uint32_t[16]")
    lib.aur_latency_bounds(bounds)
    return tuple(bound / 1e6 for bound in bounds)


@dataclass(frozen=True)
class Latency:
    """How often something took how long.

    Attributes:
        counts: for each of `BOUNDS_S`, how often it took up to so long and longer than the bound
            before; one more for what took longer than all of them.
        total_s: the sum, in seconds.
    """

    BOUNDS_S: ClassVar[tuple[float, ...]] = _bounds()

    counts: tuple[int, ...]
    total_s: float

    @property
    def count(self) -> int:
        """How often."""
        return sum(self.counts)

    def since(self, earlier: Latency) -> Latency:
        """What has been added since an earlier look."""
        counts = tuple(now - then for now, then in zip(self.counts, earlier.counts, strict=True))
        return Latency(counts, self.total_s - earlier.total_s)

    def percentile(self, fraction: float) -> float | None:
        """The bound in seconds that `fraction` of them did not exceed; ``None`` if there are none.

        Infinite for what took longer than the last bound.
        """
        wanted, seen = fraction * self.count, 0
        for bound, count in zip(self.BOUNDS_S, self.counts, strict=False):
            seen += count
            if count and seen >= wanted:
                return bound
        return float("inf") if self.count else None


class SnapshotState(Enum):
    """What becomes of snapshots at the moment.

    ``UNFINISHED``: one was begun, and this leader cannot go on with it; the next one abandons it.
    ``LOADING``: this replica starts from one.
    """

    NONE = "none"
    REQUESTED = "requested"
    UNDER_WAY = "under way"
    UNFINISHED = "unfinished"
    LOADING = "loading"


_SNAPSHOT_STATES = {
    lib.AUR_SNAPSHOT_NONE: SnapshotState.NONE,
    lib.AUR_SNAPSHOT_REQUESTED: SnapshotState.REQUESTED,
    lib.AUR_SNAPSHOT_UNDER_WAY: SnapshotState.UNDER_WAY,
    lib.AUR_SNAPSHOT_UNFINISHED: SnapshotState.UNFINISHED,
    lib.AUR_SNAPSHOT_LOADING: SnapshotState.LOADING,
}


@dataclass(frozen=True)
class SnapshotStatus:
    """The newest snapshot in the log, and the one under way, as a replica knows them.

    Attributes:
        state: see `SnapshotState`.
        position: where the newest complete one begins; 0: there is none.
        end: where it ends.
        version, pages, time: of the database in it; `time` is ``None`` if there is none.
        bytes_since: of the log's entries since it began, or since the log began, its chunks left
            out: what a replica that starts has to read beside it.
        writing: where the one under way (or being loaded) begins; 0: there is none.
        writing_version, writing_pages: of the database in it.
        writing_pages_done, writing_chunks, writing_bytes: of it in the log, or loaded.
        started_from: the snapshot that this replica's copy began with; 0: the log's beginning.
        given_up: why the last one that came to no end did not; empty after one that did.
    """

    state: SnapshotState
    position: Position
    end: Position
    version: int
    pages: int
    time: datetime | None
    bytes_since: int
    writing: Position
    writing_version: int
    writing_pages: int
    writing_pages_done: int
    writing_chunks: int
    writing_bytes: int
    started_from: Position
    given_up: str

    @property
    def age_s(self) -> float | None:
        """Since the newest one began, by the clocks of its leader and of this machine."""
        if self.time is None:
            return None
        return (datetime.now(timezone.utc) - self.time).total_seconds()


@dataclass(frozen=True)
class Status:
    """A replica's state, position, lag and counters at one moment. Counters begin at its opening.

    Attributes:
        state: see `State`.
        reason: of the last step down, reload or failure; empty if there was none.
        epoch: reign of the leader last heard of.
        leader_host: that leader's host, as it called itself.
        leader_instance: unique per opened store.
        leader_software: its release.
        leader_schema: the newest revisions that its software knows; empty without a schema.
        position: of the last entry applied, or, on the leader, made durable.
        log_ending: end of the log as last seen; ``log_ending - position`` is the lag in entries.
        version: durable version of the database: transactions since the beginning.
        latest_version: on the leader, what the next writer builds on.
        pages: size of the database, in pages of `PAGE_BYTES`.
        checksum: of the durable version; equal on all replicas at the same version.
        last_entry_age_s: since the last entry; ``None`` if none was seen yet.
        entries_applied, bytes_applied: read from the log.
        appends, bytes_appended: written to it.
        transactions: made durable as the leader.
        heartbeats: appended as the leader.
        catchups: how often the local replica had to ask the others for what it lacked.
        rewinds, versions_taken_back: on lost leadership.
        reloads: copies dropped because they failed a check.
        writers_waiting: transactions in line for the write lock.
        pages_held: pages in memory, all versions.
        readers: open transactions; a snapshot under way counts as one.
        oldest_reader_version: what the oldest of them keeps alive; 0: none.
        append_latency: of this leader's log entries.
        commit_latency: of its commits, from the end of COMMIT to a quorum.
        snapshot: the newest one, and the one under way.
        maintenance: of the log and its disk; ``None`` for a store without it.
    """

    state: State
    reason: str
    epoch: int
    leader_host: str
    leader_instance: str
    leader_software: str
    leader_schema: str
    position: Position
    log_ending: Position
    version: int
    latest_version: int
    pages: int
    checksum: int
    last_entry_age_s: float | None
    entries_applied: int
    bytes_applied: int
    appends: int
    bytes_appended: int
    transactions: int
    heartbeats: int
    catchups: int
    rewinds: int
    versions_taken_back: int
    reloads: int
    writers_waiting: int
    pages_held: int
    readers: int
    oldest_reader_version: int
    append_latency: Latency
    commit_latency: Latency
    snapshot: SnapshotStatus
    maintenance: MaintenanceStatus | None = None

    @property
    def lag(self) -> int:
        """Entries of the log that are not applied yet, as far as is known."""
        return max(0, self.log_ending - self.position)

    @property
    def oldest_reader_age(self) -> int:
        """Transactions made durable since the oldest open one began; 0 if none is open."""
        if self.oldest_reader_version == 0:
            return 0
        return max(0, self.version - self.oldest_reader_version)


def state_of(number: int) -> State:
    """The state that a native number stands for."""
    return _STATES[number]


def read_status(store: Any) -> Status:
    """The status of a native store."""
    raw = ffi.new("aur_store_status *")
    lib.aur_store_get_status(store, raw)
    age = raw.last_entry_age_us
    return Status(
        state=state_of(raw.state),
        reason=text(raw.reason),
        epoch=raw.epoch,
        leader_host=text(raw.leader_host),
        leader_instance=text(raw.leader_instance),
        leader_software=text(raw.leader_software),
        leader_schema=text(raw.leader_schema),
        position=Position(raw.position),
        log_ending=Position(raw.log_ending),
        version=raw.durable_version,
        latest_version=raw.latest_version,
        pages=raw.page_count,
        checksum=raw.checksum,
        last_entry_age_s=None if age < 0 else age / 1e6,
        entries_applied=raw.entries_applied,
        bytes_applied=raw.bytes_applied,
        appends=raw.appends,
        bytes_appended=raw.bytes_appended,
        transactions=raw.transactions,
        heartbeats=raw.heartbeats,
        catchups=raw.catchups,
        rewinds=raw.rewinds,
        versions_taken_back=raw.versions_taken_back,
        reloads=raw.reloads,
        writers_waiting=raw.writers_waiting,
        pages_held=raw.pages_held,
        readers=raw.pins,
        oldest_reader_version=raw.oldest_pin,
        append_latency=_latency(raw.append_latency),
        commit_latency=_latency(raw.commit_latency),
        snapshot=_snapshot(raw),
    )


def _snapshot(raw: Any) -> SnapshotStatus:
    return SnapshotStatus(
        state=_SNAPSHOT_STATES[raw.snapshot_state],
        position=Position(raw.snapshot_position),
        end=Position(raw.snapshot_end),
        version=raw.snapshot_version,
        pages=raw.snapshot_pages,
        time=time_of(raw.snapshot_time_us) if raw.snapshot_position else None,
        bytes_since=raw.bytes_since_snapshot,
        writing=Position(raw.writing_position),
        writing_version=raw.writing_version,
        writing_pages=raw.writing_pages,
        writing_pages_done=raw.writing_pages_done,
        writing_chunks=raw.writing_chunks,
        writing_bytes=raw.writing_bytes,
        started_from=Position(raw.started_from),
        given_up=text(raw.snapshot_given_up),
    )


def _latency(raw: Any) -> Latency:
    return Latency(tuple(raw.counts), raw.total_us / 1e6)
