"""What a running store can be asked to do over its control socket.

Each operation is a function of the store, the request's arguments and a callable for progress, and
returns what the answer is to hold. It only unpacks and calls: the work is a method of `Store`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from aurora_store.errors import MigrationFailed, NoSuchSnapshot, NotLeader, TruncationRefused
from aurora_store.maintenance import (
    HistoryPolicy,
    TruncationPlan,
    execute_truncation,
    plan_truncation,
)
from aurora_store.status import State
from aurora_store.upgrades import require_migrator

if TYPE_CHECKING:
    from aurora_store.migrations import Entry
    from aurora_store.snapshots import Snapshot
    from aurora_store.store import Store

Progress = Callable[[str, int, int], None]
"""Reports (step, done, total). Raises `ConnectionError` when whoever asked has gone."""

Arguments = Mapping[str, Any]
Operation = Callable[["Store", Arguments, Progress], dict[str, Any]]

OPERATIONS: dict[str, Operation] = {}


def operation(name: str) -> Callable[[Operation], Operation]:
    """Registers a function under the name that requests call it by."""

    def register(function: Operation) -> Operation:
        OPERATIONS[name] = function
        return function

    return register


def require_leader(store: Store, doing: str, *, otherwise: str = "") -> None:
    """Refuses on a replica that does not lead, and says where the leader is.

    Args:
        otherwise: what to do if there is none.

    Raises:
        NotLeader
    """
    status = store.status()
    if status.state is State.LEADING:
        return
    hint = "wait until somebody leads, and run the command there"
    if status.leader_host and status.leader_instance != store.instance:
        hint = (
            f"run the command on {status.leader_host} (instance {status.leader_instance}), which"
            " was last heard of as the leader"
        )
    if otherwise:
        hint += f"; if nobody leads: {otherwise}"
    raise NotLeader(
        f"this replica ({store.host}) cannot {doing}: it is {status.state.value}, and only the"
        " leader can",
        hint=hint,
    )


@operation("status")
def status(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """Who answers, and what it is doing."""
    now = store.status()
    return {
        "host": store.host,
        "instance": store.instance,
        "state": now.state.value,
        "reason": now.reason,
        "leader": now.leader_host,
        "position": now.position,
        "version": now.version,
    }


@operation("backup")
def backup(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """Makes a backup in the file or directory `path`."""
    compress = bool(arguments.get("compress", False))
    return store.backup(arguments["path"], compress=compress, progress=progress).as_json()


@operation("recovery commit")
def recovery_commit(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """Makes the SQLite file `path` the database, and begins a new reign.

    What was there is kept as a backup beside the log directory.
    """
    require_leader(store, "take over a staged copy")
    force = bool(arguments.get("force", False))
    log = store.log.directory
    keep = log.with_name(f"{log.name}.before-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.db")
    return store.restore(arguments["path"], force=force, keep=keep, progress=progress).as_json()


@operation("snapshot now")
def snapshot_now(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """Takes a snapshot into the log, and waits for its end."""
    require_leader(store, "take a snapshot")
    return _snapshot(store.snapshot(progress=progress))


@operation("snapshot list")
def snapshot_list(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """The complete snapshots in the log, newest first."""
    return {"snapshots": [_snapshot(each) for each in store.snapshots()]}


@operation("snapshot verify")
def snapshot_verify(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """Reads the snapshot at `position`, by default the newest, back and checks it."""
    position = arguments.get("position") or store.status().snapshot.position
    if not position:
        raise NoSuchSnapshot(
            f"the log of {store.host} holds no complete snapshot", hint="aurora-store snapshot now"
        )
    return _snapshot(store.verify_snapshot(position, progress=progress))


@operation("truncate plan")
def truncate_plan(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """What a truncation would do that keeps `snapshots` and `hours` of history."""
    return _plan(plan_truncation(store, _history(arguments)))


@operation("truncate execute")
def truncate_execute(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """Does so, if the log would begin at `to` still."""
    require_leader(store, "truncate the log")
    plan = plan_truncation(store, _history(arguments))
    if plan.to != arguments["to"]:
        raise TruncationRefused(
            f"the log would begin at {plan.to} by now, instead of {arguments['to']}",
            hint="plan again",
        )
    execute_truncation(store, plan, progress=progress)
    return _plan(plan)


@operation("schema standing")
def schema_standing(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """How this replica's software stands to the database."""
    migrator = require_migrator(store)
    verdict = migrator.verdict()
    return {
        "host": store.host,
        "state": store.status().state.value,
        "software": migrator.schema.software,
        "heads": list(migrator.schema.heads),
        "standing": verdict.standing.value,
        "reason": verdict.reason,
        "hint": verdict.hint,
    }


@operation("schema plan")
def schema_plan(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """What a downgrade to the revision `to` would undo."""
    _require_to_lead(store, "undo revisions", "downgrade", arguments)
    return {"undo": _steps(require_migrator(store).journal().to_undo(arguments["to"]))}


@operation("schema downgrade")
def schema_downgrade(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """Does so, if it would undo the revisions `undo` still; with `lead` as the next leader."""
    to, expected = arguments["to"], arguments["undo"]
    _require_to_lead(store, "undo revisions", "downgrade", arguments)
    planned = [each.revision for each in require_migrator(store).journal().to_undo(to)]
    if planned != expected:
        raise MigrationFailed(
            f"{', '.join(planned)} would be undone by now, instead of {', '.join(expected)};"
            " nothing was changed",
            hint="run the command again, and look at what it would undo",
        )
    return {"undone": _steps(store.downgrade(to, lead=bool(arguments.get("lead"))))}


@operation("schema upgrade")
def schema_upgrade(store: Store, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """Releases what was undone, and applies what this replica's software knows."""
    _require_to_lead(store, "release revisions", "upgrade", arguments)
    done = store.upgrade(lead=bool(arguments.get("lead")))
    return {
        "released": _steps(each for each in done if each.action == "release"),
        "applied": _steps(each for each in done if each.action == "upgrade"),
    }


def _require_to_lead(store: Store, doing: str, command: str, arguments: Arguments) -> None:
    """Refuses where the leader's software is to do something, and this one is not to lead."""
    if not arguments.get("lead"):
        again = ("aurora-store schema", command, arguments.get("to", ""), "--lead --directory")
        command = " ".join([*filter(None, again), str(store.log.directory)])
        require_leader(store, doing, otherwise=command)


def _steps(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [
        {"revision": each.revision, "message": each.message, "software": each.software}
        for each in entries
    ]


def _history(arguments: Arguments) -> HistoryPolicy:
    return HistoryPolicy(arguments["snapshots"], timedelta(hours=arguments["hours"]))


def _snapshot(snapshot: Snapshot) -> dict[str, Any]:
    return {
        **asdict(snapshot),
        "time": snapshot.time.isoformat(timespec="seconds"),
        # As text: not every reader of JSON has integers of 64 bits.
        "checksum": f"{snapshot.checksum:016x}",
        "database_bytes": snapshot.database_bytes,
    }


def _plan(plan: TruncationPlan) -> dict[str, Any]:
    kept = [_snapshot(each) for each in plan.kept]
    return {**asdict(plan), "positions": plan.positions, "kept": kept}
