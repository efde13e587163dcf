"""PostgreSQL: a primary that waits for any one of two standbys, with the transaction of ours."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import tasks
from benchmarks.commits import ROWS
from benchmarks.processes import Process, free_addresses
from benchmarks.rivals.servers import run, serve, wait_until
from benchmarks.threads import Taken, repeat

_BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path(), key=lambda each: each.parts)
_PROGRAMS = ("initdb", "pg_basebackup", "pgbench", "postgres", "psql")
_STATUSES = ", ".join(f"'{tasks.status_of(number)}'" for number in range(7))
_TABLES = f"""
CREATE TABLE task (id integer PRIMARY KEY, name text NOT NULL, status text NOT NULL, host text,
  at bigint NOT NULL, config text NOT NULL);
CREATE TABLE event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task integer NOT NULL,
  at bigint NOT NULL, status text NOT NULL);
INSERT INTO task SELECT i, 'www-data/prod/service-' || i % 997 || '/' || i,
  (ARRAY[{_STATUSES}])[1 + i % 7], 'agent-' || i % 4096 || '.example.org', 1700000000000 + i,
  repeat(md5(i::text), 5) FROM generate_series(1, {ROWS}) AS i;
VACUUM ANALYZE task;
"""
# One round trip to the server for all of it.
_SCRIPT = rf"""
\set id random(1, {ROWS})
\set number random(1, 7)
\set at random(1700000000000, 1800000000000)
\startpipeline
BEGIN;
UPDATE task SET status = (ARRAY[{_STATUSES}])[:number], at = :at WHERE id = :id;
INSERT INTO event (task, at, status) VALUES (:id, :at, (ARRAY[{_STATUSES}])[:number]);
COMMIT;
\endpipeline
"""


def missing() -> str:
    """What to install; empty if it is there."""
    if all(_program(name) for name in _PROGRAMS):
        return ""
    return "apt-get install postgresql"


def start(directory: Path, stack: contextlib.ExitStack) -> list[Any]:
    """Starts the primary and its standbys, and waits until both follow it."""
    sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aurora-pg-")))
    as_user = _as_another_user(directory, sockets)
    ports = [address.rpartition(":")[2] for address in free_addresses(3)]
    server = _Server(directory, as_user, sockets, ports[0])
    server.run("initdb", "--auth=trust", "--username=postgres", "--pgdata=node0")
    settings = directory / "node0" / "postgresql.conf"
    with settings.open("a") as file:
        file.write(
            f"unix_socket_directories = '{sockets}'\nlisten_addresses = '127.0.0.1'\n"
            "max_connections = 200\nmax_wal_size = '4GB'\n"
        )
    server.serve(stack, "node0", ports[0])
    wait_until(lambda: server.ask("SELECT 1") == "1", "a PostgreSQL primary")
    for statement in _TABLES.split(";\n")[:-1]:
        server.run_sql(statement)
    for number in (1, 2):
        primary = f"host=127.0.0.1 port={ports[0]} user=postgres application_name=node{number}"
        server.run(
            "pg_basebackup", "-d", primary, "-D", f"node{number}", "--checkpoint=fast",
            "--write-recovery-conf",
        )  # fmt: skip
        server.serve(stack, f"node{number}", ports[number])
    server.run_sql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (node1, node2)'")
    server.run_sql("SELECT pg_reload_conf()")
    follow = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'"
    wait_until(lambda: server.ask(follow) == "2", "two synchronous standbys")
    clients: list[Any] = [_Pgbench(server)]
    if importlib.util.find_spec("psycopg"):
        clients.append(_Psycopg(server, stack.enter_context(Process())))
    return clients


class _Server:
    """The primary, and how to run programs beside it."""

    def __init__(self, directory: Path, as_user: list[str], sockets: Path, port: str) -> None:
        self.directory, self._as_user = directory, as_user
        self.address = {"host": str(sockets), "port": port, "user": "postgres"}

    def serve(self, stack: contextlib.ExitStack, node: str, port: str) -> None:
        command = [_program("postgres"), "-D", node, "-p", port]
        serve(stack, command, self.directory, node, as_user=self._as_user)

    def run(self, program: str, *arguments: str) -> str:
        environment = {f"PG{name.upper()}": value for name, value in self.address.items()}
        command = [*self._as_user, _program(program), *arguments]
        return run(command, self.directory, **environment)

    def run_sql(self, statement: str) -> str:
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement).strip()

    def ask(self, question: str) -> str:
        with contextlib.suppress(RuntimeError):
            return self.run_sql(question)
        return ""


class _Pgbench:
    system = "PostgreSQL"
    client = "pgbench (C), pipelined"
    operation = "UPDATE + INSERT"

    def __init__(self, server: _Server) -> None:
        self._server = server
        (server.directory / "script").write_text(_SCRIPT)

    def write_for(self, seconds: float, writers: int) -> Taken:
        whole = str(math.ceil(seconds) + 1)  # it counts connecting, too
        self._server.run(
            "pgbench", "--no-vacuum", "--protocol=prepared", "--client", str(writers), "--jobs",
            str(min(2, writers)), "--time", whole, "--file=script", "--log",
            "--log-prefix=transactions",
        )  # fmt: skip
        spans = []  # microseconds: end, duration
        for log in self._server.directory.glob("transactions.*"):
            for line in log.read_text().splitlines():
                _, _, taken, _, end_s, end_us = line.split()
                spans.append((int(end_s) * 1_000_000 + int(end_us), int(taken)))
            log.unlink()
        if not spans:
            raise RuntimeError(f"no transaction ended within {whole} s")
        begin, end = min(end - taken for end, taken in spans), max(end for end, _ in spans)
        return [taken / 1e6 for _, taken in spans], (end - begin) / 1e6


class _Psycopg:
    system = "PostgreSQL"
    client = "Python threads (psycopg)"
    operation = "UPDATE + INSERT"

    def __init__(self, server: _Server, process: Process) -> None:
        self._address, self._process = server.address, process

    def write_for(self, seconds: float, writers: int) -> Taken:
        taken: Taken = self._process.call(_psycopg_write_for, self._address, seconds, writers)
        return taken


def _psycopg_write_for(address: dict[str, str], seconds: float, writers: int) -> Taken:
    import psycopg

    options: dict[str, Any] = {**address, "dbname": "postgres"}
    with contextlib.ExitStack() as stack:
        actions = []
        for number in range(writers):
            connection = stack.enter_context(psycopg.connect(**options))
            actions.append(_change(connection, tasks.picker(number, ROWS)))
        return repeat(actions, seconds)


def _change(connection: Any, pick: Callable[[], int]) -> Callable[[], None]:
    def change() -> None:
        task, at = pick(), tasks.now_ms()
        status = tasks.status_of(at)
        connection.execute(tasks.UPDATE.replace("?", "%s"), (status, at, task), prepare=True)
        connection.execute(tasks.INSERT.replace("?", "%s"), (task, at, status), prepare=True)
        connection.commit()

    return change


def _program(name: str) -> str:
    own = _BIN / name
    return str(own) if own.is_file() else shutil.which(name) or ""


def _as_another_user(*directories: Path) -> list[str]:
    """PostgreSQL refuses to run as root: gives it the directories of another user."""
    if os.geteuid() != 0:
        return []
    names = [user.pw_name for user in pwd.getpwall()]
    name = "postgres" if "postgres" in names else "nobody"
    user = pwd.getpwnam(name)
    for directory in directories:
        os.chown(directory, user.pw_uid, user.pw_gid)
    directories[0].parent.chmod(0o711)  # the scratch directory of the benchmark
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
