"""What a running store can be asked to do over its control socket.

Each operation is a function of the store, the request's arguments and a callable for progress, and
returns what the answer is to hold. It only unpacks and calls: the work is a method of `Store`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aurora_store.errors import NotLeader
from aurora_store.status import State

if TYPE_CHECKING:
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


def require_leader(store: Store, doing: str) -> None:
    """Refuses on a replica that does not lead, and says where the leader is.

    Raises:
        NotLeader
    """
    status = store.status()
    if status.state is State.LEADING:
        return
    leader = status.leader_host
    raise NotLeader(
        f"this replica ({store.host}) cannot {doing}: it is {status.state.value}, and only the"
        " leader can",
        hint=f"run the command on {leader}, which was last heard of as the leader"
        if leader and status.leader_instance != store.instance
        else "wait until somebody leads, and run the command there",
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
    """Makes the SQLite file `path` the database, and begins a new reign."""
    require_leader(store, "take over a staged copy")
    force = bool(arguments.get("force", False))
    return store.restore(arguments["path"], force=force, progress=progress).as_json()
