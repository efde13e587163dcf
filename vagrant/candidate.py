"""The example framework, and in the same process what the scenarios need in order to judge it.

A ledger: while this replica leads it commits an entry after the other, beside what the framework
does, and notes those whose commit was acknowledged in a file. And a socket for asking what the
replica has, which only root and the service's user can open.
"""

from __future__ import annotations

import json
import logging
import os
import socketserver
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import text

from aurora_store import Store
from aurora_store.errors import (
    CommitOutcomeUnknown,
    LeadershipLost,
    LogUnavailable,
    NotLeader,
    StoreClosed,
    StoreError,
)
from aurora_store.framework import Framework
from aurora_store.framework.example import build, parse
from aurora_store.monitoring import MonitoringServer

SOCKET = Path("/run/aurora-store/probe.sock")
TOKEN = Path("/etc/aurora-store/monitoring-token")
ACKNOWLEDGED = Path("/var/lib/aurora-store/acknowledged")

_EVERY_S = 0.02
# By a replica that does not lead, leads no more, or still reads the log.
_REFUSED = (NotLeader, LeadershipLost, CommitOutcomeUnknown, LogUnavailable)
_TABLE = """CREATE TABLE IF NOT EXISTS ledger
  (id INTEGER PRIMARY KEY AUTOINCREMENT, epoch INTEGER NOT NULL, entry TEXT NOT NULL UNIQUE)"""
_ENTRY = "INSERT INTO ledger (epoch, entry) VALUES (:epoch, :entry)"
_ENTRIES = "SELECT epoch, entry FROM ledger ORDER BY id"
_TASKS = "SELECT id, state FROM task ORDER BY id"


class Ledger:
    """Writes entries from `start` on, whenever this replica leads, until the store is closed."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._prefix = f"{name}:{uuid.uuid4().hex[:8]}"
        self.running = threading.Event()
        """Clear it to have no entries written."""
        self.running.set()
        # Whoever is killed may leave half a line: the next one begins with a line of its own.
        self._file = os.open(ACKNOWLEDGED, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(self._file, b"\n")

    def start(self) -> None:
        """Returns at once."""
        threading.Thread(target=self._run, name="ledger", daemon=True).start()

    def _run(self) -> None:
        number = 0
        while True:
            self.running.wait()
            time.sleep(_EVERY_S)
            number += 1
            entry = f"{self._prefix}:{number}"
            # An entry is written once. One that was not acknowledged may be there, or not.
            try:
                self._write(entry)
            except StoreClosed:
                return
            except _REFUSED:
                continue

    def _write(self, entry: str) -> None:
        with self._store.begin() as connection:
            connection.execute(text(_TABLE))
            epoch = self._store.status().epoch  # of this reign: we hold the write lock
            connection.execute(text(_ENTRY), {"epoch": epoch, "entry": entry})
        os.write(self._file, f"{time.monotonic()} {entry}\n".encode())


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """One question, one answer; a line each."""
        server = self.server
        assert isinstance(server, Probe)
        question = self.rfile.readline().decode().strip()
        self.wfile.write(json.dumps(server.answer(question)).encode() + b"\n")


class Probe(socketserver.ThreadingUnixStreamServer):
    """Answers ``report``, ``content``, ``pause`` and ``resume``."""

    daemon_threads = True

    def __init__(self, store: Store, framework: Framework, ledger: Ledger) -> None:
        SOCKET.unlink(missing_ok=True)
        super().__init__(str(SOCKET), _Handler)
        self._store, self._framework, self._ledger = store, framework, ledger

    def answer(self, question: str) -> dict[str, Any]:
        """A JSON object."""
        if question == "pause":
            self._ledger.running.clear()
        elif question == "resume":
            self._ledger.running.set()
        elif question == "content":
            with self._store.read() as connection:
                return {
                    "entries": [list(row) for row in connection.execute(text(_ENTRIES))],
                    "tasks": [list(row) for row in connection.execute(text(_TASKS))],
                }
        return self._report()

    def _report(self) -> dict[str, Any]:
        status = self._store.status()
        recomputed, kept = self._store.verify_checksum()
        while (now := self._store.status()).version != status.version:
            # The framework writes when it likes: both have to be of the same version.
            status = now
            recomputed, kept = self._store.verify_checksum()
        return {
            "state": status.state.value,
            "reason": status.reason,
            "framework": self._framework.status.state.value,
            "framework_id": self._framework.status.framework_id,
            "version": status.version,
            "checksum": kept,
            "recomputed": recomputed,
            "clock": time.time(),
        }


def main() -> int:
    """Runs until SIGTERM."""
    options = parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aurora_store.libmesos").setLevel(logging.WARNING)
    try:
        store, framework = build(options)
        monitoring = MonitoringServer(
            store, candidate=framework.candidate, address=options.http, token_file=TOKEN
        )
        with store, monitoring:
            ledger = Ledger(store, options.name)
            ledger.start()
            probe = Probe(store, framework, ledger)
            threading.Thread(target=probe.serve_forever, name="probe", daemon=True).start()
            framework.run()
    except StoreError as exc:
        print(f"Error: {exc.message}", file=sys.stderr)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
