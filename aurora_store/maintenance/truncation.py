"""Forgetting the log's beginning: what would go, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from aurora_store.errors import Corrupt, LogTruncated
from aurora_store.log import Position
from aurora_store.maintenance.policies import HistoryPolicy

if TYPE_CHECKING:
    from aurora_store.snapshots import Snapshot
    from aurora_store.store import Store

__all__ = ["TruncationPlan", "execute_truncation", "plan_truncation"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TruncationPlan:
    """What a truncation would do.

    Attributes:
        beginning, ending: of the log now.
        to: where it would begin: the first entry of the oldest snapshot that stays. Equal to
            `beginning` if nothing would go.
        disk_bytes: about what it would free on this replica's disk; 0 where libmesos does not tell.
        kept: the complete snapshots that stay, the newest first.
        why: in one sentence.
    """

    beginning: Position
    ending: Position
    to: Position
    disk_bytes: int
    kept: tuple[Snapshot, ...]
    why: str

    @property
    def positions(self) -> int:
        """How many positions would go."""
        return self.to - self.beginning


def plan_truncation(
    store: Store, policy: HistoryPolicy | None = None, *, now: datetime | None = None
) -> TruncationPlan:
    """What `policy`, by default `HistoryPolicy()`, lets go of a store's log. Changes nothing.

    Any replica can plan.

    Raises:
        LogUnavailable, StoreClosed: the log does not answer.
    """
    policy = policy or HistoryPolicy()
    now = now or datetime.now(timezone.utc)
    log = store.log
    beginning, ending = log.beginning(), log.ending()
    snapshots = store.snapshots()
    number = policy.kept(snapshots, now)
    kept = tuple(snapshots[:number])
    to = beginning if number is None else max(beginning, kept[-1].position)
    disk_bytes = log.disk_bytes(beginning, to) if to > beginning else 0
    why = _why(policy, kept, all_stays=number is None, goes=to > beginning)
    return TruncationPlan(beginning, ending, to, disk_bytes, kept, why)


def execute_truncation(
    store: Store, plan: TruncationPlan, *, progress: Progress | None = None
) -> Position:
    """Does what was planned, as the leader. Each replica then frees its own disk by itself.

    The snapshot that the log would begin with, and the newest one, are read back from the log first
    and compared with their checksums: nothing goes if one of them is damaged.

    Args:
        progress: called with a step ("verify", "truncate"), what of it is done, and the total.

    Returns:
        Where the log begins now.

    Raises:
        NotLeader, LeadershipLost: of a replica that does not lead.
        LogTruncated: the log begins later already than it was planned; plan again.
        Corrupt: a snapshot does not hold what it should. The log was left as it is.
    """
    if plan.positions == 0:
        return plan.beginning
    if store.log.beginning() > plan.to:
        raise LogTruncated(
            f"the log begins at {store.log.beginning()} already: the plan to truncate it to"
            f" {plan.to} is old",
            hint="plan again",
        )
    report = progress or (lambda step, done, total: None)
    wanted = list(dict.fromkeys((plan.kept[-1].position, plan.kept[0].position)))
    for number, position in enumerate(wanted):
        report("verify", number, len(wanted))
        try:
            store.verify_snapshot(position)
        except Corrupt as exc:
            raise Corrupt(
                f"the snapshot at {position} cannot be relied on, so the log stays as it is: {exc}",
                hint="aurora-store snapshot now, which writes a new one",
            ) from exc
    report("truncate", 0, 1)
    store.truncate(plan.to)
    report("truncate", 1, 1)
    return plan.to


def _why(policy: HistoryPolicy, kept: Sequence[Snapshot], *, all_stays: bool, goes: bool) -> str:
    wanted = f"{policy.snapshots} snapshot{'s' if policy.snapshots > 1 else ''}"
    if policy.time:
        wanted += f" and {policy.time} of history"
    if not kept:
        return f"all stays: {wanted} are to stay, and the log holds no complete snapshot"
    if all_stays:
        return (
            f"all stays: {wanted} are to stay, and the log holds {len(kept)}, the oldest of"
            f" {kept[-1].time:%Y-%m-%d %H:%M:%S} UTC"
        )
    oldest = f"{wanted} are to stay, the oldest of them at {kept[-1].position}"
    return oldest if goes else f"all stays: {oldest}, where the log begins"
