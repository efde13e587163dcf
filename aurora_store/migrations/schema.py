"""What a release of software knows of the schema, and how it stands to the one that there is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from aurora_store import __version__
from aurora_store.errors import MigrationFailed, SchemaMismatch, StoreError
from aurora_store.migrations import journal
from aurora_store.migrations.journal import Entry, Journal
from aurora_store.migrations.rehearsal import (
    beside_tables,
    empty_database,
    learn_downgrades,
    swept_away,
)
from aurora_store.migrations.revisions import Revision, read_revisions

__all__ = ["Schema", "Standing", "Verdict"]


class Standing(Enum):
    """How software stands to a database."""

    CURRENT = "current"
    """Both have the same revisions."""
    AHEAD = "ahead"
    """The database has revisions that the software does not know; all are compatible."""
    BEHIND = "behind"
    """The database lacks revisions of the software."""
    REVERTED = "reverted"
    """It lacks them because they were undone."""
    TOO_NEW = "too new"
    """The database has a revision that the software does not know and that is not compatible."""


@dataclass(frozen=True)
class Verdict:
    """How software stands to a database, and what it may do therefore.

    Attributes:
        reason: why it may not do all.
        hint: the command to try next.
        failed: a migration failed in this process, and would fail again; the reason is its error.
    """

    standing: Standing
    reason: str = ""
    hint: str = ""
    failed: bool = False

    @property
    def may_read(self) -> bool:
        """Whether it may read, and write when it leads."""
        return self.standing in (Standing.CURRENT, Standing.AHEAD)

    @property
    def may_lead(self) -> bool:
        """Whether it may lead, after an upgrade if need be."""
        return self.may_read or (self.standing is Standing.BEHIND and not self.failed)

    def error(self, doing: str) -> SchemaMismatch:
        """The refusal of what it may not do."""
        return SchemaMismatch(f"this replica cannot {doing}: {self.reason}", hint=self.hint)


class Schema:
    """The revisions that software knows. Any thread may use it; made once, at the start.

    Args:
        directories: of revision files. Those of this package are `aurora_store.models.REVISIONS`
            and `aurora_store.events.REVISIONS`.
        software: name and version of the program, for the records: "myscheduler 1.4".

    Raises:
        ValueError: the revisions cannot be read, or do not fit together.
    """

    def __init__(self, *directories: str | os.PathLike[str], software: str | None = None) -> None:
        if not directories:
            raise ValueError("a schema is made of one directory of revisions at least")
        self.revisions = read_revisions(directories)
        """Each behind those that it builds upon."""
        ours = f"aurora-store {__version__}"
        self.software = f"{software}, {ours}" if software else ours
        """What is recorded with each step."""

    @property
    def heads(self) -> tuple[str, ...]:
        """The newest revision of each branch."""
        followed = {name for revision in self.revisions for name in revision.after}
        return tuple(each.id for each in self.revisions if each.id not in followed)

    @cached_property
    def downgrades(self) -> dict[str, list[tuple[str, Any]] | None]:
        """The SQL that undoes each revision, by its id; `None`: it cannot be undone."""
        return dict(learn_downgrades(self.revisions))

    def rehearse(self) -> None:
        """Runs all revisions once on an empty database in memory, and what undoes each.

        Raises:
            MigrationFailed: they would fail on any database.
        """
        try:
            _ = self.downgrades
        except Exception as exc:
            raise MigrationFailed(
                f"the revisions of this software fail on an empty database: {exc}",
                hint="mend the revision, or deploy the release before",
            ) from exc

    def judge(self, applied: Journal) -> Verdict:
        """How this software stands to a database with that journal."""
        if applied.unknown is not None:
            return Verdict(
                Standing.TOO_NEW,
                f"the journal has {applied.unknown}, and this software does not know what"
                f" '{applied.unknown.action}' means",
                "upgrade this replica's software",
            )
        ours = {each.id for each in self.revisions}
        strange = [each for name, each in applied.applied.items() if name not in ours]
        closed = next((each for each in strange if not each.compatible), None)
        if closed is not None:
            return _too_new(closed, "and this software does not know it")
        for revision in self.revisions:
            entry = applied.applied.get(revision.id)
            if entry is not None and entry.after != revision.after:
                place = ", ".join(revision.after) or "nothing"
                return _too_new(entry, f"which this software has behind {place}")
        lacking = self._lacking(applied)
        for revision in lacking:
            rival = next((each for each in strange if set(each.after) & set(revision.after)), None)
            if rival is not None:
                return _too_new(rival, f"where this software has {revision.id}")
        undone = next((e for each in lacking if (e := applied.reverted.get(each.id))), None)
        if undone is not None:
            return Verdict(
                Standing.REVERTED,
                f"its software needs {undone}",
                "to have it applied again, on the leader's machine: aurora-store schema upgrade"
                " --directory DIR (with --lead if nobody leads)",
            )
        if lacking:
            names = ", ".join(each.id for each in lacking)
            return Verdict(
                Standing.BEHIND,
                f"the database lacks {names}, which its software needs",
                "wait until a replica with this software leads: it migrates the database",
            )
        if strange:
            return Verdict(Standing.AHEAD)
        return Verdict(Standing.CURRENT)

    def _lacking(self, applied: Journal) -> list[Revision]:
        return [each for each in self.revisions if each.id not in applied.applied]

    def upgrade(self, connection: Connection, *, host: str = "") -> list[Revision]:
        """Applies what the database lacks, in the connection's transaction; returns it.

        Revisions of branches that are not of this schema are in nobody's way here.

        Raises:
            SchemaMismatch: nothing was done: see `Standing`.
            MigrationFailed: a revision failed; roll the transaction back.
        """
        before = journal.read(connection.exec_driver_sql)
        lacking = self._lacking(before)
        verdict = self.judge(before.branches_of(each.id for each in self.revisions))
        if lacking and not verdict.may_lead:
            raise verdict.error("migrate the database")
        if lacking:
            self.rehearse()
        for revision in lacking:
            try:
                revision.upgrade(connection)
            except StoreError:
                raise
            except Exception as exc:
                raise MigrationFailed(
                    f"revision {revision.id} ({revision.message}) failed, and nothing was changed:"
                    f" {exc}",
                    hint="mend the revision, or the rows that it cannot take, or deploy the release"
                    " before",
                ) from exc
            journal.append(
                connection,
                "upgrade",
                revision.id,
                message=revision.message,
                after=revision.after,
                needs=revision.needs,
                compatible=revision.compatible,
                downgrade=self.downgrades[revision.id],
                software=self.software,
                host=host,
            )
        return lacking

    def downgrade(self, connection: Connection, to: str, *, host: str = "") -> list[Entry]:
        """Undoes what builds upon revision `to`, newest first, with the SQL in the database.

        In the connection's transaction; returns what was undone. It is not applied again before
        `release`. Revisions of this software are not needed.

        Raises:
            MigrationFailed: there is nothing to undo, or a revision cannot be undone; roll back.
        """
        undo = journal.read(connection.exec_driver_sql).to_undo(to)
        for entry in undo:
            self._undo(connection, entry, host)
        return undo

    def _undo(self, connection: Connection, entry: Entry, host: str) -> None:
        sql = ""
        before = beside_tables(connection)
        try:
            for sql, parameters in entry.downgrade or ():
                given = parameters if isinstance(parameters, dict) else tuple(parameters)
                connection.exec_driver_sql(sql, given)
            # Others have indexes and triggers on a table, too, of which the revision did not know.
            for each in swept_away(before, connection, entry.downgrade or ()):
                sql = each.sql
                connection.exec_driver_sql(sql)
        except StoreError:
            raise
        except Exception as exc:
            raise MigrationFailed(
                f"{entry} cannot be undone, and nothing was changed: {exc}",
                hint=f"see what keeps this from being run: {sql.strip()}",
            ) from exc
        self._append(connection, "downgrade", entry, host)

    def release(self, connection: Connection, *, host: str = "") -> list[Entry]:
        """Allows what was undone to be applied again, in the transaction; returns it."""
        undone = list(journal.read(connection.exec_driver_sql).reverted.values())
        for entry in undone:
            self._append(connection, "release", entry, host)
        return undone

    def _append(self, connection: Connection, action: str, entry: Entry, host: str) -> None:
        journal.append(
            connection,
            action,
            entry.revision,
            message=entry.message,
            after=entry.after,
            needs=entry.needs,
            compatible=entry.compatible,
            downgrade=None,
            software=self.software,
            host=host,
        )

    def differences(self, *metadata: MetaData) -> list[Any]:
        """Where the tables that the revisions make are not those of some metadata.

        For a test: as Alembic's `compare_metadata`; empty if all is well. Triggers, and what SQL a
        constraint or an index has, are not compared.
        """
        with self._made() as context:
            return list(compare_metadata(context, list(metadata)))  # type: ignore[arg-type]

    def suggest(self, *metadata: MetaData) -> str:
        """Text for the next revision: what would make the tables those of some metadata.

        To look over, and to write into a file. As Alembic's autogeneration, for a database in
        memory that all revisions were applied to.
        """
        with self._made() as context:
            found = produce_migrations(context, list(metadata))  # type: ignore[arg-type]
        assert found.upgrade_ops is not None and found.downgrade_ops is not None
        upgrade = render_python_code(found.upgrade_ops)
        downgrade = render_python_code(found.downgrade_ops)
        return (
            f"def upgrade() -> None:\n    {upgrade}\n\n\n"
            f"def downgrade() -> None:\n    {downgrade}\n"
        )

    @contextmanager
    def _made(self) -> Iterator[MigrationContext]:
        """A database in memory that all revisions were applied to."""
        with empty_database() as connection:
            for revision in self.revisions:
                revision.upgrade(connection)
            yield MigrationContext.configure(connection)


def _too_new(entry: Entry, why: str) -> Verdict:
    return Verdict(
        Standing.TOO_NEW,
        f"the database has {entry}, {why}",
        f"upgrade this replica's software{_or_undo(entry)}",
    )


def _or_undo(entry: Entry) -> str:
    if not entry.after or entry.downgrade is None:
        return ""
    return (
        ", or undo the revision on the leader's machine: aurora-store schema downgrade --directory"
        f" DIR {entry.after[0]} (with --lead on this one if nobody leads)"
    )
