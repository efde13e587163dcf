"""What a store does with its schema: every transaction asks, and the leader migrates."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from pysqlite3 import dbapi2
from sqlalchemy import Connection, NullPool

from aurora_store import driver
from aurora_store.dialect import create_engine
from aurora_store.errors import LogUnavailable, MigrationFailed, SchemaMismatch, StoreError
from aurora_store.migrations import journal
from aurora_store.migrations.journal import Entry, Journal
from aurora_store.migrations.rehearsal import transaction
from aurora_store.migrations.schema import Schema, Standing, Verdict

__all__ = ["Migrator"]

_logger = logging.getLogger("aurora_store.migrations")


class Migrator:
    """Keeps transactions to what the software and the database agree upon. Any thread may use it.

    Args:
        handle: of the store's database; transactions of this object are not asked.
        host: of this replica, for the records.
    """

    def __init__(self, schema: Schema, handle: driver.StoreHandle, host: str) -> None:
        self.schema = schema
        self._host = host
        free = replace(handle, admit=None)
        self._engine = create_engine(free, poolclass=NullPool)
        self._read_engine = create_engine(free, read_only=True, poolclass=NullPool)
        # A fingerprint is of a whole journal, so whoever judged it last judged it for all. Replaced
        # as one object: no lock.
        self._judged: tuple[str | None, Verdict] | None = None
        self._failure = ""  # of a migration: it would fail again
        self._migrating = threading.Lock()  # whoever leads meanwhile waits for the outcome

    def admit(self, connection: driver.Connection) -> None:
        """Refuses a transaction that has just begun, if the software does not fit the database.

        Raises:
            SchemaMismatch
        """
        verdict = self._verdict(connection)
        if not verdict.may_read:
            raise verdict.error("be written" if not connection.read_only else "be read")

    def verdict(self) -> Verdict:
        """How the software stands to what is durable.

        Raises:
            LogUnavailable, StoreClosed: the replica cannot be read.
        """
        with self._read_engine.begin() as connection:
            raw = connection.connection.dbapi_connection
            assert isinstance(raw, driver.Connection)
            return self._verdict(raw)

    def _verdict(self, connection: driver.Connection) -> Verdict:
        fingerprint = journal.newest(connection.execute)
        judged = self._judged
        if judged is None or judged[0] != fingerprint:
            judged = fingerprint, self.schema.judge(journal.read(connection.execute))
            self._judged = judged
        return judged[1]

    def look(self) -> Verdict | None:
        """The verdict for a status, with a migration that failed; `None`: it cannot be read now."""
        try:
            verdict = self.verdict()
        except StoreError:
            return None
        if self._failure and verdict.standing is Standing.BEHIND:
            return replace(verdict, reason=self._failure, failed=True)
        return verdict

    def require_fit(self) -> None:
        """Refuses to lead before anybody is deposed for it.

        Raises:
            SchemaMismatch, MigrationFailed: the revisions fail on any database.
        """
        try:
            verdict = self.verdict()
        except LogUnavailable:
            return
        if not verdict.may_lead:
            raise verdict.error("lead")
        if not verdict.may_read:
            self._rehearse()

    def _rehearse(self) -> None:
        try:
            self.schema.rehearse()
        except MigrationFailed as exc:
            self._failure = exc.message
            raise

    def migrate(self) -> None:
        """Applies what the database lacks, in one transaction. For the leader.

        Raises:
            SchemaMismatch, MigrationFailed: nothing was changed.
            What a commit may raise.
        """
        with self._migrating:
            self._migrate()

    def _migrate(self) -> None:
        verdict = self.verdict()
        if verdict.may_read:
            return
        if not verdict.may_lead:
            raise verdict.error("lead")
        begun = time.monotonic()
        try:
            with self._transaction() as connection:
                done = self.schema.upgrade(connection, host=self._host)
        except MigrationFailed as exc:
            self._failure = exc.message
            raise
        except StoreError:
            raise
        except Exception as exc:
            self._failure = f"the migration failed at its end, and nothing was changed: {exc}"
            raise MigrationFailed(self._failure, hint="mend the revision") from exc
        for revision in done:
            _logger.info("migrated to %s (%s)", revision.id, revision.message)
        _logger.info("the schema is up to date after %.3f s", time.monotonic() - begun)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Without foreign keys enforced: a table that is rebuilt is dropped, and what refers to it
        would be deleted with it. A listener on all engines may have them enforced."""
        with self._engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert isinstance(raw, driver.Connection)
            raw.execute("PRAGMA foreign_keys = OFF")
            with connection.begin():
                yield connection

    def downgrade(self, to: str) -> list[Entry]:
        """Undoes what builds upon a revision, in one transaction. For the leader.

        Raises:
            MigrationFailed: nothing was changed.
            What a commit may raise.
        """
        with self._transaction() as connection:
            return self.schema.downgrade(connection, to, host=self._host)

    def release(self) -> list[Entry]:
        """Allows what was undone to be applied again. For the leader, which does so next."""
        self._failure = ""
        with self._engine.begin() as connection:
            return self.schema.release(connection, host=self._host)

    @contextmanager
    def migrated(self, source: dbapi2.Connection, path: Path) -> Iterator[dbapi2.Connection]:
        """A SQLite database of another release as this software needs it, to restore it.

        Yields `source`, or a copy of it in memory that was migrated.

        Raises:
            SchemaMismatch: this software could not lead with it.
            MigrationFailed: a revision that it lacks fails on it.
        """
        verdict = self.schema.judge(journal.read(source.execute))
        if not verdict.may_lead:
            raise SchemaMismatch(
                f"{path} cannot be restored by this replica's software, and nothing was changed:"
                f" {verdict.reason}",
                hint="have a replica lead with software that fits it, or use another backup",
            )
        if verdict.may_read:
            yield source
            return
        with closing(dbapi2.connect(":memory:", isolation_level=None)) as copy:
            source.backup(copy)
            with transaction(copy) as connection:
                self.schema.upgrade(connection, host=self._host)
            yield copy

    def journal(self) -> Journal:
        """What was done to the schema, as far as it is durable."""
        with self._read_engine.begin() as connection:
            return journal.read(connection.exec_driver_sql)
