"""zxlite: three members. Its clusters know no transactions of several statements, nor triggers over
a connection, so a write is the update alone."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import tasks
from benchmarks.commits import ROWS
from benchmarks.processes import Process, free_addresses
from benchmarks.threads import Taken, repeat

_server: Any = None  # of a member's process


def missing() -> str:
    """What to install; empty if it is there."""
    if importlib.util.find_spec("zxlite"):
        return ""
    return "pip install zxlite, in an environment of Python 3.12 or later"


def start(directory: Path, stack: contextlib.ExitStack) -> list[Any]:
    """Starts the members, each in a process of its own, and fills the table."""
    secret = directory / "secret"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(32) + "\n")
    addresses = free_addresses(3)
    members = [stack.enter_context(Process()) for _ in addresses]
    for number, member in enumerate(members):
        member.start(_serve, str(directory / f"node{number}"), number + 1, addresses, str(secret))
    for member in members:
        member.result()
    client = _Updates(stack.enter_context(Process()), addresses, str(secret))
    client.fill()
    return [client]


class _Updates:
    system = "zxlite"
    client = "Python threads"
    operation = "UPDATE alone"

    def __init__(self, process: Process, addresses: list[str], secret: str) -> None:
        self._process, self._addresses, self._secret = process, addresses, secret

    def fill(self) -> None:
        self._process.call(_fill, self._addresses, self._secret)

    def write_for(self, seconds: float, writers: int) -> Taken:
        taken: Taken = self._process.call(
            _write_for, self._addresses, self._secret, seconds, writers
        )
        return taken


def _serve(directory: str, member: int, addresses: list[str], secret: str) -> None:
    import zxlite  # type: ignore[import-not-found, unused-ignore]

    global _server
    os.mkdir(directory, mode=0o700)
    with open(f"{directory}.log", "w") as output:
        os.dup2(output.fileno(), 2)  # it tells of every connection
    _server = zxlite.start_server(
        directory=directory,
        node_id=member,
        members=[zxlite.Member(number, each) for number, each in enumerate(addresses, start=1)],
        auth_file=secret,
        allow_psk_only_loopback=True,
        startup_timeout=30.0,
    )


def _connect(addresses: list[str], secret: str) -> Any:
    import zxlite

    return zxlite.connect(
        f"zxlite://{','.join(addresses)}/",
        auth_file=secret,
        allow_psk_only_loopback=True,
        timeout=60.0,
        operation_timeout_ms=60_000,
        pool_size=1,
    )


def _fill(addresses: list[str], secret: str) -> None:
    connection = _connect(addresses, secret)
    for statement in tasks.TABLES:
        connection.execute(statement)
    for first in range(1, ROWS + 1, 500):
        rows = [tasks.row(number) for number in range(first, min(first + 500, ROWS + 1))]
        connection.executemany(tasks.INSERT_TASK, rows)
    connection.close()


def _write_for(addresses: list[str], secret: str, seconds: float, writers: int) -> Taken:
    connections = [_connect(addresses, secret) for _ in range(writers)]
    try:
        actions = [
            _change(connection, tasks.picker(number, ROWS))
            for number, connection in enumerate(connections)
        ]
        return repeat(actions, seconds)
    finally:
        for connection in connections:
            connection.close()


def _change(connection: Any, pick: Callable[[], int]) -> Callable[[], None]:
    def change() -> None:
        at = tasks.now_ms()
        connection.execute(tasks.UPDATE, (tasks.status_of(at), at, pick()))

    return change
