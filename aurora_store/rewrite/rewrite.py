"""See the package."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from aurora_store.atomic_file import directory_beside
from aurora_store.differences import Version, between, row_changes, schema_changes
from aurora_store.differences.between import parts_before
from aurora_store.errors import Corrupt, StoreError
from aurora_store.history import Moment, first_to_read, position_at, replay_to
from aurora_store.log import Log, Position
from aurora_store.log.directory import log_directory_around
from aurora_store.record import Kind, changed_pages, read_record
from aurora_store.rewrite.apply import Applier, Conflict, DoesNotFit
from aurora_store.rewrite.copy import copy_entries
from aurora_store.sources import LogSource, Progress, Source
from aurora_store.store import Store


class RewriteRefused(StoreError):
    """What was asked for cannot be meant: nothing was written. Ask for something else."""

    exit_code = 2


@dataclass
class Rewritten:
    """What a rewriting came to.

    Attributes:
        target: the new directory.
        to: the last position of the old log that counts.
        copied: entries that were copied as they are.
        applied: entries whose changes were brought back by SQL.
        left_out: for each table the number of rows that differ by what was left out.
        transactions: how many were left out.
        conflicts: changes that were left out because they do not fit.
        version, page_count, checksum: of the database of the new log.
    """

    target: Path
    to: Position
    copied: int = 0
    applied: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    conflicts: list[tuple[Position, Conflict]] = field(default_factory=list)
    version: int = 0
    page_count: int = 0
    checksum: int = 0


def rewrite(
    source: Source,
    target: str | os.PathLike[str],
    *,
    to: Moment | None = None,
    without: tuple[int, int] | None = None,
    skip_conflicts: bool = False,
    progress: Progress | None = None,
) -> Rewritten:
    """Makes a new log in `target`, which is not there yet or is empty.

    Args:
        source: the old log.
        to: the last position, or a time; by default all of it.
        without: the first and the last position whose transactions are left out. What comes after
            them is brought back as changes of rows; see `aurora_store.rewrite.apply`.
        skip_conflicts: leaves out changes that do not fit, too, instead of giving up.
        progress: is told how many of how many positions are done.

    Raises:
        RewriteRefused: `target` is not empty, or in a log directory; `without` is no range.
        StoreError: a change does not fit.
        what `aurora_store.history.replay_to` raises. Then there is no new log.
    """
    path = Path(os.path.abspath(target))
    last = position_at(source, to, progress=progress)
    if without is not None and not 0 < without[0] <= without[1] <= last:
        raise RewriteRefused(
            f"positions {without[0]} to {without[1]} are no range in the log up to {last}"
        )
    result = Rewritten(path, last)
    _check_target(path)
    with directory_beside(path) as directory:
        until = last if without is None else Position(without[0] - 1)
        first = 0 if source.beginning == 0 else first_to_read(source, until)
        with Log.open(directory) as log:
            log.elect()
            entries = source.entries(first, until, progress=progress)
            result.copied = copy_entries(entries, log)
        if without is not None:
            _leave_out(source, without, last, directory, result, skip_conflicts, progress)
        _verify(source, directory, result, same=without is None)
    return result


def _check_target(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RewriteRefused(
            f"{path} is not empty: a log is never written over another one",
            hint="name a directory that is not there yet",
        )
    around = log_directory_around(path)
    if around is not None:
        raise RewriteRefused(
            f"{path} is inside the log directory {around}: nothing but its replica writes there",
            hint="name a directory somewhere else",
        )


def _leave_out(
    source: Source,
    without: tuple[int, int],
    last: Position,
    directory: Path,
    result: Rewritten,
    skip_conflicts: bool,
    progress: Progress | None,
) -> None:
    first, until = without
    with between(source, first - 1, until, progress=progress) as missing:
        result.left_out.update(change.table for change in missing.rows())
        for schema in missing.schema():
            result.left_out[f"{schema.type} {schema.name}"] += 1
        result.transactions = missing.transactions
    if until == last:
        return
    with Store.open(directory, heartbeat=0) as store, replay_to(source, until) as replay:
        store.wait_caught_up(timeout=600.0)
        store.lead(timeout=600.0)
        before = Version(replay)
        pages: set[int] = set()
        parts = 0
        try:
            for entry in source.entries(until + 1, last, progress=progress):
                record = read_record(entry.data)
                if record.kind is Kind.LEADER:
                    pages, parts = set(), 0  # what the reign before did not finish
                if record.kind in (Kind.BATCH, Kind.BATCH_PART):
                    if record.part > parts:
                        pages |= parts_before(source, until, record.part - parts)
                    pages |= {page.number for page in changed_pages(entry.data)}
                    parts = record.part + 1
                replay.apply(entry)
                if record.kind is not Kind.BATCH:
                    continue
                after = Version(replay)
                try:
                    conflicts = _bring_back(store, before, after, pages)
                except DoesNotFit as exc:
                    after.close()
                    raise StoreError(
                        f"position {entry.position} does not fit without the range that is left"
                        f" out: {exc}; no new log was made",
                        hint=f"end with --to {entry.position - 1}, and change the schema anew in"
                        " the new log",
                    ) from exc
                result.conflicts += [(entry.position, conflict) for conflict in conflicts]
                if conflicts and not skip_conflicts:
                    after.close()
                    _give_up(entry.position, conflicts)
                before.close()
                before, pages, parts = after, set(), 0
                result.applied += 1
        finally:
            before.close()
        store.step_down(timeout=600.0)


def _bring_back(store: Store, before: Version, after: Version, pages: set[int]) -> list[Conflict]:
    rows = list(row_changes(before, after, pages))
    schema = schema_changes(before, after)
    with store.engine.connect() as connection:
        driver_connection = connection.connection.driver_connection
        assert driver_connection is not None
        driver_connection.begin()
        try:
            conflicts = Applier(driver_connection, before, after).apply(schema, rows)
        except BaseException:
            driver_connection.rollback()
            raise
        driver_connection.commit()
    return conflicts


def _give_up(position: Position, conflicts: list[Conflict]) -> NoReturn:
    first = conflicts[0]
    change = first.change
    row = "" if change is None else f" ({change.kind} of {change.key} in table {change.table})"
    more = f", and {len(conflicts) - 1} more" if len(conflicts) > 1 else ""
    raise StoreError(
        f"position {position} does not fit without the range that is left out: {first.what}{row}"
        f"{more}; no new log was made",
        hint="--on-conflict skip leaves out what does not fit, and lists it; or --to a position"
        " before that",
    )


def _verify(source: Source, directory: Path, result: Rewritten, *, same: bool) -> None:
    """Replays the new log from its own files."""
    with Log.open(directory) as log:
        ending = log.elect()
        with replay_to(LogSource(log, ending)) as replay:
            info = replay.info
            with Version(replay) as version:
                problems = version.rows("PRAGMA integrity_check")
    result.version, result.page_count = info.version, info.page_count
    result.checksum = info.checksum
    if same:
        with replay_to(source, result.to) as old:
            if old.info.checksum != info.checksum or old.info.version != info.version:
                raise Corrupt(
                    f"the new log is not the old one: its database has {info.checksum:016x},"
                    f" not {old.info.checksum:016x}"
                )
    elif problems != [("ok",)]:
        raise Corrupt(f"the database of the new log is not whole: {problems[0][0]}")
