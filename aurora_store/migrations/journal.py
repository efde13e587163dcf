"""What was done to the schema, by whom, and how to undo it: a table of the database.

    aurora_store_migration (number, action, revision, message, after, needs, compatible,
                            downgrade, software, host, time_ms, fingerprint)

Rows are only ever added. The ``action`` of one is ``upgrade``, ``downgrade``, or ``release``: a
revision that was downgraded may be applied again. ``after`` and ``needs`` are JSON lists of the
revisions before it, in its own branch and in others, ``downgrade`` one of pairs of SQL and
parameters. ``fingerprint`` is of this row and all before it:
two databases whose newest rows have the same one have the same journal.

Software of every release reads and writes this table: its layout never changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any, Final

from pysqlite3 import dbapi2
from sqlalchemy import Connection

from aurora_store.errors import MigrationFailed

__all__ = ["ACTIONS", "Entry", "Journal", "append", "newest", "read"]

_CREATE: Final = """CREATE TABLE IF NOT EXISTS aurora_store_migration (
  number INTEGER PRIMARY KEY,
  action TEXT NOT NULL,
  revision TEXT NOT NULL,
  message TEXT NOT NULL,
  after TEXT NOT NULL,
  needs TEXT NOT NULL,
  compatible INTEGER NOT NULL,
  downgrade TEXT,
  software TEXT NOT NULL,
  host TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  fingerprint TEXT NOT NULL
)"""
_COLUMNS: Final = (
    "number, action, revision, message, after, needs, compatible, downgrade, software, host,"
    " time_ms, fingerprint"
)
_INSERT: Final = f"INSERT INTO aurora_store_migration ({_COLUMNS}) VALUES ({', '.join('?' * 12)})"
_READ: Final = f"SELECT {_COLUMNS} FROM aurora_store_migration ORDER BY number"
_IS_THERE: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'aurora_store_migration'"

_NEWEST: Final = "SELECT fingerprint FROM aurora_store_migration ORDER BY number DESC LIMIT 1"

ACTIONS: Final = {"upgrade": "applied", "downgrade": "undone", "release": "released"}
"""Those that this release knows, and what it says of them."""

Execute = Callable[[str], Iterable[Any]]
"""Runs SQL and returns its rows: SQLAlchemy's `exec_driver_sql`, or a DB-API `execute`."""


@dataclass(frozen=True)
class Entry:
    """A row. See above; `time` is by the clock of the leader of then."""

    number: int
    action: str
    revision: str
    message: str
    after: tuple[str, ...]
    needs: tuple[str, ...]
    compatible: bool
    downgrade: tuple[tuple[str, Any], ...] | None
    software: str
    host: str
    time: datetime
    fingerprint: str

    def __str__(self) -> str:
        done = ACTIONS.get(self.action, self.action)
        when = f"{self.time:%Y-%m-%d %H:%M:%S} UTC"
        return f"{self.revision} ({self.message}), {done} by {self.software} on {self.host}, {when}"


@dataclass(frozen=True)
class Journal:
    """All rows, and what follows from them.

    Attributes:
        entries: in the order of their numbers.
        applied: the entry of each revision that the database has, in the order of application.
        reverted: of each that was undone, and may not be applied again yet.
    """

    entries: tuple[Entry, ...]
    applied: Mapping[str, Entry]
    reverted: Mapping[str, Entry]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Journal:
        """Follows the actions."""
        applied: dict[str, Entry] = {}
        reverted: dict[str, Entry] = {}
        for entry in entries:
            if entry.action not in ACTIONS:
                continue  # of a newer release: `unknown`
            applied.pop(entry.revision, None)
            reverted.pop(entry.revision, None)
            if entry.action == "upgrade":
                applied[entry.revision] = entry
            elif entry.action == "downgrade":
                reverted[entry.revision] = entry
        return cls(tuple(entries), applied, reverted)

    @property
    def unknown(self) -> Entry | None:
        """One with an action of a newer release: it cannot be told what the database has."""
        return next((each for each in self.entries if each.action not in ACTIONS), None)

    def branches_of(self, revisions: Iterable[str]) -> Journal:
        """What concerns some revisions, and those behind them in their branches."""
        names = set(revisions)
        for entry in self.entries:
            if names.intersection(entry.after):
                names.add(entry.revision)
        return Journal.of([each for each in self.entries if each.revision in names])

    def _from_base(self, revision: str) -> list[Entry]:
        """The whole branch of a revision, and all that needs any of it, newest first."""
        first = self.applied[revision]
        while first.after and first.after[0] in self.applied:
            first = self.applied[first.after[0]]
        return [*self.built_upon(first.revision), first]

    def built_upon(self, revision: str) -> list[Entry]:
        """The applied revisions that need this one, newest first."""
        needing = {revision}
        found = []
        for entry in self.applied.values():
            if needing.intersection(entry.after + entry.needs):
                needing.add(entry.revision)
                found.append(entry)
        return found[::-1]

    def to_undo(self, to: str) -> list[Entry]:
        """The applied revisions that a downgrade to this one undoes, newest first.

        Args:
            to: what stays; or, as in Alembic, ``REVISION@base``: nothing of its branch does.

        Raises:
            MigrationFailed: there are none, or one cannot be undone.
        """
        name, _, base = to.partition("@")
        if name not in self.applied or base not in ("", "base"):
            there = ", ".join(self.applied) or "none"
            raise MigrationFailed(f"the database has no revision {to}; it has {there}")
        undo = self._from_base(name) if base else self.built_upon(name)
        if not undo:
            raise MigrationFailed(f"nothing in the database builds upon revision {to}")
        for entry in undo:
            if entry.downgrade is None:
                raise MigrationFailed(
                    f"{entry} cannot be undone; nothing was changed",
                    hint="restore a backup of before: see docs/operations.md",
                )
        return undo

    @property
    def heads(self) -> tuple[str, ...]:
        """The newest applied revision of each branch."""
        followed = {name for entry in self.applied.values() for name in entry.after}
        return tuple(name for name in self.applied if name not in followed)

    @property
    def fingerprint(self) -> str | None:
        """Of the newest row; `None`: there are none."""
        return self.entries[-1].fingerprint if self.entries else None


def read(execute: Execute) -> Journal:
    """The journal of a database; an empty one if there is no such table."""
    if not list(execute(_IS_THERE)):
        return Journal.of(())
    return Journal.of([_entry(*row) for row in execute(_READ)])


def newest(execute: Execute) -> str | None:
    """The fingerprint of the whole journal; `None`: it has no rows. Quick where there are some."""
    try:
        found = list(execute(_NEWEST))
    except dbapi2.OperationalError:
        if list(execute(_IS_THERE)):
            raise
        return None
    return found[0][0] if found else None


def _entry(
    number: int,
    action: str,
    revision: str,
    message: str,
    after: str,
    needs: str,
    compatible: int,
    downgrade: str | None,
    software: str,
    host: str,
    time_ms: int,
    fingerprint: str,
) -> Entry:
    return Entry(
        number,
        action,
        revision,
        message,
        tuple(json.loads(after)),
        tuple(json.loads(needs)),
        bool(compatible),
        None if downgrade is None else tuple((sql, given) for sql, given in json.loads(downgrade)),
        software,
        host,
        datetime.fromtimestamp(time_ms / 1000, timezone.utc),
        fingerprint,
    )


def append(
    connection: Connection,
    action: str,
    revision: str,
    *,
    message: str,
    after: Sequence[str],
    needs: Sequence[str],
    compatible: bool,
    downgrade: Sequence[tuple[str, Any]] | None,
    software: str,
    host: str,
) -> None:
    """Adds a row, and the table if there is none."""
    connection.exec_driver_sql(_CREATE)
    newest = connection.exec_driver_sql(
        "SELECT number, fingerprint FROM aurora_store_migration ORDER BY number DESC LIMIT 1"
    ).first()
    number, before = (0, "") if newest is None else newest
    row = (
        number + 1,
        action,
        revision,
        message,
        json.dumps(list(after)),
        json.dumps(list(needs)),
        int(compatible),
        None if downgrade is None else json.dumps(list(downgrade)),
        software,
        host,
        time.time_ns() // 1_000_000,
    )
    digest = blake2b(json.dumps([before, *row]).encode(), digest_size=16).hexdigest()
    connection.exec_driver_sql(_INSERT, (*row, digest))
