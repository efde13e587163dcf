"""Whether a log fits together: its files, its entries, and the order of what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aurora_store.inspection.listing import DAMAGED, FOREIGN, TOO_NEW, Row, row_of
from aurora_store.log.files import Action, Damage, Progress, ReplicaDirectory, ReplicaState
from aurora_store.log.files import Kind as ActionKind
from aurora_store.record import Kind, Record

_MOST_FINDINGS = 1000  # of each kind in a report


@dataclass(frozen=True, slots=True)
class Finding:
    """An entry that is not as it should be."""

    position: int
    what: str

    def __str__(self) -> str:
        return f"position {self.position}: {self.what}"


@dataclass(slots=True)
class Findings:
    """A list that does not grow without end: a foreign log has something in every entry."""

    listed: list[Finding] = field(default_factory=list)
    count: int = 0

    def add(self, position: int, what: str) -> None:
        """Takes another one."""
        self.count += 1
        if len(self.listed) < _MOST_FINDINGS:
            self.listed.append(Finding(position, what))

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "count": self.count,
            "listed": [{"position": each.position, "what": each.what} for each in self.listed],
        }


@dataclass(slots=True)
class Report:
    """What `verify` found."""

    state: ReplicaState
    bytes: int
    damages: list[Damage]
    torn: tuple[str, int] | None
    entries: int
    """Appends that were looked at, pending ones included."""
    corrupt: Findings
    """Entries that do not match their checksum, or cannot be decoded."""
    foreign: Findings
    """Entries of another application."""
    too_new: Findings
    """Entries of a newer release."""
    order: Findings
    """Entries that do not follow from those before."""

    @property
    def foreign_log(self) -> bool:
        """Whether it is another application's log as a whole."""
        return 0 < self.entries == self.foreign.count

    @property
    def damaged(self) -> bool:
        """Whether anything is wrong. Holes and pending positions are not: a replica that runs
        asks the others for them."""
        findings = (self.corrupt, self.foreign, self.order)
        return bool(self.damages) or any(each.count for each in findings)


def verify(replica: ReplicaDirectory, *, progress: Progress | None = None) -> Report:
    """Checks every checksum of the files and of the entries, decodes every entry, and holds each
    against those before it. Goes on after damage."""
    report = Report(
        ReplicaState(replica.metadata, 0, None, [], [], 0),
        replica.size,
        [],
        None,
        0,
        Findings(),
        Findings(),
        Findings(),
        Findings(),
    )
    chain = _Chain(report.order)

    def look(action: Action) -> None:
        row = row_of(action)
        report.entries += action.kind is ActionKind.APPEND
        for kind, findings in (
            (DAMAGED, report.corrupt),
            (FOREIGN, report.foreign),
            (TOO_NEW, report.too_new),
        ):
            if row.kind == kind:
                findings.add(row.position, row.note)
        chain.follow(row)

    report.state = replica.scan(look, progress=progress)
    report.damages, report.torn = replica.damages, replica.torn
    return report


class _Chain:
    """What each entry must follow from, as a replica that applies them sees it."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._next: int | None = None  # the position due; the first one may be any
        self._forget()

    def _forget(self) -> None:
        # What comes next is taken as it is, and what follows it held against it.
        self._epoch: int | None = None
        self._version: int | None = None
        self._checksum: int | None = None
        self._parts: int | None = None
        self._snapshot: int | None = None  # the newest complete one, by its begin
        self._begun: int | None = None  # the newest one
        self._chunks: int | None = None  # of that

    def follow(self, row: Row) -> None:
        """Takes the next position."""
        gap = self._next is not None and row.position != self._next
        if gap or not row.learned or row.kind in (DAMAGED, FOREIGN, TOO_NEW):
            self._forget()
        if self._next is None and row.position == 0:
            self._epoch = self._version = self._checksum = self._parts = self._snapshot = 0
        self._next = row.position + 1
        if row.record is None or not row.learned:
            return
        if row.record.kind is Kind.SNAPSHOT_BEGIN:
            if self._epoch == 0:
                self._forget()  # a log may begin with a snapshot of another one
            self._begun, self._chunks = row.position, 0
        what = self._check(row.record) or self._check_snapshot(row.record)
        if what:
            self._findings.add(row.position, what)
        self._take(row.record)

    def _check(self, record: Record) -> str:
        leader, batch = record.kind is Kind.LEADER, record.kind in (Kind.BATCH, Kind.BATCH_PART)
        if self._epoch is not None:
            if leader and record.epoch <= self._epoch:
                return f"a leader of epoch {record.epoch} after epoch {self._epoch}"
            if not leader and record.epoch != self._epoch:
                return f"it is of epoch {record.epoch}, in epoch {self._epoch}"
        if self._version is not None and record.first_version != self._version + batch:
            return f"it is for version {record.first_version}, on version {self._version}"
        if self._checksum is not None and record.checksum_before != self._checksum:
            return (
                f"it expects the checksum {record.checksum_before:016x} of version"
                f" {self._version}, which is {self._checksum:016x}"
            )
        if batch and self._parts is not None and record.part != self._parts:
            return f"part {record.part} of a batch where part {self._parts} was due"
        return ""

    def _check_snapshot(self, record: Record) -> str:
        chunks = self._chunks
        if record.kind is Kind.SNAPSHOT_CHUNK and chunks not in (None, record.part):
            return f"chunk {record.part} of a snapshot where chunk {chunks} was due"
        if record.kind is Kind.SNAPSHOT_END and chunks not in (None, record.part):
            return f"the end of a snapshot with {record.part} chunks, which has {chunks}"
        due = self._begun if record.kind is Kind.SNAPSHOT_END else self._snapshot
        if due not in (None, record.snapshot):
            return (
                f"it says that the newest complete snapshot begins at {record.snapshot},"
                f" which is {due}"
            )
        return ""

    def _take(self, record: Record) -> None:
        self._epoch, self._snapshot = record.epoch, record.snapshot
        if record.kind is Kind.SNAPSHOT_CHUNK and self._chunks is not None:
            self._chunks = record.part + 1
        if record.kind is Kind.BATCH_PART:
            self._parts = record.part + 1
            self._version, self._checksum = record.first_version - 1, record.checksum_before
            return
        if record.kind in (Kind.BATCH, Kind.LEADER):
            self._parts = 0
        self._version, self._checksum = record.last_version, record.checksum_after
