"""Updates of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aurora_store.errors import StoreError
from aurora_store.models.query import JobUpdateQuery
from aurora_store.models.stores.base import BaseStore
from aurora_store.models.stores.jobs import JobRows, job_key
from aurora_store.models.stores.roles import LockStore
from aurora_store.models.values.canonical import Decoded, decode, dump, encode
from aurora_store.models.values.config import Metadata
from aurora_store.models.values.enums import JobUpdateStatus
from aurora_store.models.values.keys import JobUpdateKey, Range
from aurora_store.models.values.updates import (
    InstanceTaskConfig,
    JobInstanceUpdateEvent,
    JobUpdate,
    JobUpdateDetails,
    JobUpdateEvent,
    JobUpdateInstructions,
    JobUpdateSettings,
    JobUpdateSummary,
)

__all__ = ["JobUpdateStore", "SummaryPage", "UnknownUpdate"]

_SUMMARY: Final = """job_update.id, job_update.update_id, job_update.user, job_update.status,
  job_update.created_ms, job_update.modified_ms,
  (SELECT name FROM role WHERE id = (SELECT role_id FROM job WHERE id = job_update.job_id)),
  (SELECT name FROM environment
    WHERE id = (SELECT environment_id FROM job WHERE id = job_update.job_id)),
  (SELECT name FROM job WHERE id = job_update.job_id)"""
_INSERT: Final = "INSERT INTO job_update (job_id, update_id, user) VALUES (?, ?, ?)"
_ID: Final = "SELECT id FROM job_update WHERE job_id = ? AND update_id = ?"
_INSERT_INSTRUCTIONS: Final = "INSERT INTO job_update_instructions VALUES (?, ?, ?)"
_INSERT_CONFIG: Final = "INSERT INTO job_update_config VALUES (?, ?, ?, ?, ?)"
_CONFIGS: Final = """SELECT config_id, desired, instances FROM job_update_config
  WHERE update_row_id = ? ORDER BY sequence"""
_INSTRUCTIONS: Final = """SELECT settings, metadata FROM job_update_instructions
  WHERE update_row_id = ?"""
# The last number is found at the end of the key: it does not matter how many there are.
_INSERT_EVENT: Final = """INSERT INTO job_update_event (update_row_id, sequence, status, time_ms,
  user, message) SELECT ?1, coalesce(max(sequence), -1) + 1, ?2, ?3, ?4, ?5
  FROM job_update_event WHERE update_row_id = ?1"""
_INSERT_INSTANCE_EVENT: Final = """INSERT INTO job_instance_update_event (update_row_id, sequence,
  instance, time_ms, action, message) SELECT ?1, coalesce(max(sequence), -1) + 1, ?2, ?3, ?4, ?5
  FROM job_instance_update_event WHERE update_row_id = ?1"""
# In the order of the key, which is that in which they were saved.
_EVENTS: Final = """SELECT json_array(json_group_array(status), json_group_array(time_ms),
  json_group_array(user), json_group_array(message)) FROM job_update_event
  WHERE update_row_id = ?"""
_INSTANCE_EVENTS: Final = """SELECT json_array(json_group_array(instance),
  json_group_array(time_ms), json_group_array(action), json_group_array(message))
  FROM job_instance_update_event WHERE update_row_id = ?"""


class UnknownUpdate(StoreError):
    """There is no update of that key: it was never saved, or it was removed."""


@dataclass(frozen=True)
class SummaryPage:
    """Some summaries of a query.

    Attributes:
        next: give this to `JobUpdateStore.fetch_page` for those that follow, unless it is `None`.
    """

    summaries: Sequence[JobUpdateSummary]
    next: tuple[int, int] | None


class JobUpdateStore(BaseStore):
    """Updates, with what happened to them."""

    __slots__ = ()

    # ---- reading ----

    def fetch_summaries(self, query: JobUpdateQuery) -> Sequence[JobUpdateSummary]:
        """Where updates stand; the one changed last comes first."""
        return [_summary(row) for row in self._rows(*query.statement(_SUMMARY))]

    def fetch_page(
        self, query: JobUpdateQuery, *, after: tuple[int, int] | None = None
    ) -> SummaryPage:
        """Summaries in the same order, `query.limit` at a time; a page costs the same anywhere.

        Args:
            query: with a limit, and without an offset.
            after: `next` of the page before.
        """
        if not query.limit or query.offset:
            raise ValueError("a page needs a query with a limit above 0 and without an offset")
        more = replace(query, limit=query.limit + 1)
        rows = self._rows(*more.statement(_SUMMARY, after=after))
        shown = rows[: query.limit]
        last = (shown[-1][5], shown[-1][0]) if len(rows) > len(shown) else None
        return SummaryPage([_summary(row) for row in shown], last)

    def fetch_updates(self, query: JobUpdateQuery) -> Sequence[JobUpdateDetails]:
        """All that is known of updates, in the order of `fetch_summaries`."""
        return [self._details(row) for row in self._rows(*query.statement(_SUMMARY))]

    def fetch_update(self, key: JobUpdateKey) -> JobUpdateDetails | None:
        """All that is known of one update."""
        found = self.fetch_updates(JobUpdateQuery(key=key))
        return found[0] if found else None

    def fetch_instructions(self, key: JobUpdateKey) -> JobUpdateInstructions | None:
        """What an update is to do."""
        number = self._find(key)
        return None if number is None else self._instructions(number)

    def fetch_instance_events(
        self, key: JobUpdateKey, instance: int
    ) -> Sequence[JobInstanceUpdateEvent]:
        """What an update did to one instance, in the order in which it was saved."""
        sql = f"{_INSTANCE_EVENTS} AND instance = ?"
        number = self._find(key)
        return Decoded(JobInstanceUpdateEvent, self._row(sql, (number, instance))[0])

    # ---- writing ----

    def save_update(self, update: JobUpdate, *, lock_token: str | None = None) -> None:
        """Adds an update, or replaces one of that key; its events stay.

        Args:
            lock_token: only if the job's lock is the one of this token.

        Raises:
            JobLocked: it is not.
        """
        if lock_token is not None:
            LockStore(self._connection).check(update.key.job, lock_token)
        jobs = JobRows(self._connection)
        job = jobs.put(update.key.job)
        before = self._find(update.key)
        if before is None:
            self._run(_INSERT, (job, update.key.id, update.user))
            number = self._row(_ID, (job, update.key.id))[0]
        else:
            number = before
            self._run("UPDATE job_update SET user = ? WHERE id = ?", (update.user, number))
            self._run("DELETE FROM job_update_instructions WHERE update_row_id = ?", (number,))
        instructions = update.instructions
        self._run(
            _INSERT_INSTRUCTIONS, (number, encode(instructions.settings), encode(update.metadata))
        )
        states = [(each, False) for each in sorted(instructions.initial, key=encode)]
        if instructions.desired is not None:
            states.append((instructions.desired, True))
        # Above the old ones, which go last: a configuration that stays has a user all the time.
        old = self._row(
            "SELECT coalesce(max(sequence), -1) FROM job_update_config WHERE update_row_id = ?",
            (number,),
        )[0]
        for sequence, (state, desired) in enumerate(states, old + 1):
            config = jobs.put_config(state.config).config
            row = (number, sequence, config, desired, encode(state.instances))
            self._run(_INSERT_CONFIG, row)
        self._run(
            "DELETE FROM job_update_config WHERE update_row_id = ? AND sequence <= ?", (number, old)
        )

    def save_event(self, key: JobUpdateKey, event: JobUpdateEvent) -> None:
        """Appends a change of an update's status. Costs the same however many there are.

        Raises:
            UnknownUpdate: there is no such update.
        """
        row = (int(event.status), event.time_ms, event.user, event.message)
        self._run(_INSERT_EVENT, (self._known(key), *row))

    def save_instance_event(self, key: JobUpdateKey, event: JobInstanceUpdateEvent) -> None:
        """Appends what an update did to an instance.

        Raises:
            UnknownUpdate: there is no such update.
        """
        self.save_instance_events(key, [event])

    def save_instance_events(
        self, key: JobUpdateKey, events: Iterable[JobInstanceUpdateEvent]
    ) -> None:
        """Appends several.

        Raises:
            UnknownUpdate: there is no such update.
        """
        number = self._known(key)
        self._run_each(
            _INSERT_INSTANCE_EVENT,
            [
                (number, each.instance, each.time_ms, int(each.action), each.message)
                for each in events
            ],
        )

    def remove_updates(self, keys: Iterable[JobUpdateKey]) -> None:
        """Removes updates with all that is theirs, if they are there."""
        numbers = [number for key in keys if (number := self._find(key)) is not None]
        self._run(
            "DELETE FROM job_update WHERE id IN (SELECT value FROM json_each(?))", (dump(numbers),)
        )

    def delete_all(self) -> None:
        """Removes all."""
        self._run("DELETE FROM job_update")

    # ---- rows ----

    def _find(self, key: JobUpdateKey) -> int | None:
        job = JobRows(self._connection).find(key.job)
        row = None if job is None else self._row(_ID, (job, key.id))
        return None if row is None else int(row[0])

    def _known(self, key: JobUpdateKey) -> int:
        number = self._find(key)
        if number is None:
            raise UnknownUpdate(f"there is no {key} to save an event of", hint="save_update first")
        return number

    def _instructions(self, number: int) -> JobUpdateInstructions:
        rows = self._rows(_CONFIGS, (number,))
        configs = JobRows(self._connection).configs({row[0] for row in rows})
        initial, desired = [], None
        for config, is_desired, instances in rows:
            state = InstanceTaskConfig(configs[config], decode(frozenset[Range], instances))
            if is_desired:
                desired = state
            else:
                initial.append(state)
        (settings, _) = self._row(_INSTRUCTIONS, (number,))
        return JobUpdateInstructions(
            frozenset(initial), desired, decode(JobUpdateSettings, settings)
        )

    def _details(self, row: Any) -> JobUpdateDetails:
        number, summary = row[0], _summary(row)
        (_, metadata) = self._row(_INSTRUCTIONS, (number,))
        return JobUpdateDetails(
            JobUpdate(
                summary.key,
                summary.user,
                self._instructions(number),
                decode(frozenset[Metadata], metadata),
            ),
            summary,
            Decoded(JobUpdateEvent, self._row(_EVENTS, (number,))[0]),
            Decoded(JobInstanceUpdateEvent, self._row(_INSTANCE_EVENTS, (number,))[0]),
        )


def _summary(row: Any) -> JobUpdateSummary:
    _, update_id, user, status, created, modified, *job = row
    return JobUpdateSummary(
        JobUpdateKey(job_key(*job), update_id),
        user,
        None if status is None else JobUpdateStatus(status),
        created,
        modified,
    )
