"""Every error a caller of aurora-store can meet, one class per *what to do next*.

Each class carries two things beside its message: ``exit_code``, what the command line exits
with, and ``hint``, the command or step to try next (``None`` where the message says it all).
The cause, where there is one, is kept with ``raise ... from``.
"""

from __future__ import annotations

from typing import ClassVar


class StoreError(Exception):
    """Base of all errors raised by aurora-store.

    Args:
        message: what failed, where, and why, in one sentence.
        hint: what to try next; printed by the command line as ``Try: ...``.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} (try: {self.hint})" if self.hint else self.message


class LibmesosNotFound(StoreError):
    """No libmesos was found, or the one found cannot be used: fetch one or name another."""

    exit_code = 10


class LogUnavailable(StoreError):
    """The replicated log cannot be opened or reached: nothing was written, retry later."""

    exit_code = 11


class LogInUse(LogUnavailable):
    """Another process or another `Store` of this process holds the log directory."""

    exit_code = 12


class NotLeader(StoreError):
    """A write was tried on a replica that does not lead: nothing was written, ask the leader."""

    exit_code = 13


class LeadershipLost(StoreError):
    """The transaction is certainly *not* in the log: the reign ended before it was sent.

    Safe to run again on the new leader.
    """

    exit_code = 14


class CommitOutcomeUnknown(StoreError):
    """The transaction was sent and not acknowledged, and no next leader has settled it in time.

    One will, and every replica will see the same answer. Ask `Store.outcome` for its token, or look
    for the transaction's effect, before running it again.
    """

    exit_code = 15


class WriterBusy(StoreError):
    """The write lock was not granted within the time limit: nothing was written, retry."""

    exit_code = 16


class WaitTimeout(StoreError):
    """What was waited for (a position, a role) did not come within the time limit."""

    exit_code = 17


class StoreClosed(StoreError):
    """The store or log was closed, before the call or during it."""

    exit_code = 18


class Corrupt(StoreError):
    """A log entry, or this replica's copy of the database, fails its check.

    The message names the position. The replica stops applying entries and never leads.
    """

    exit_code = 3


class ForeignEntry(Corrupt):
    """A log entry that another application wrote: this is not, or not only, a store's log."""


class FormatTooNew(StoreError):
    """A log entry was written by a newer release: upgrade this replica. Nothing was skipped."""

    exit_code = 19


class LogTruncated(StoreError):
    """The wanted position is before the beginning of the log: start from its beginning."""

    exit_code = 20


class NotYetInLog(StoreError):
    """The wanted position or time is after the newest entry: wait, or ask for an earlier one."""

    exit_code = 21


class RecoveryRefused(StoreError):
    """A step of a recovery is not to be done as things are: nothing was changed.

    Nothing is staged, something is staged already, or the target is not empty.
    """

    exit_code = 24


class AlreadyCommitted(StoreError):
    """A transaction with this token is in the log: nothing was run, there is nothing to do."""

    exit_code = 25


class TokenRefused(StoreError):
    """The token was settled as not committed: nothing was run, use a new token."""

    exit_code = 26


class TokenExpired(StoreError):
    """What became of transactions with tokens that old was forgotten: look for the effect."""

    exit_code = 27


class StoreNotRunning(StoreError):
    """No store that can be controlled runs on that log directory, or it ended meanwhile."""

    exit_code = 28


class BackupFailed(StoreError):
    """A backup cannot be written or read: those that are there are as they were."""

    exit_code = 29


class TruncationRefused(StoreError):
    """The log must not be truncated there: no complete snapshot would make up for what goes."""

    exit_code = 34


class SnapshotAbandoned(StoreError):
    """The snapshot came to no end, the message says why; nothing else was touched. Take another."""

    exit_code = 35


class NoSuchSnapshot(StoreError):
    """No complete snapshot begins at that position of the log."""

    exit_code = 36


class SchemaMismatch(StoreError):
    """The database's schema and this replica's software do not fit: nothing was read or written.

    Upgrade the software, wait for a leader that migrates, or downgrade the schema: see the message.
    """

    exit_code = 37


class MigrationFailed(StoreError):
    """A step of the schema failed, or cannot be undone: the database is as it was."""

    exit_code = 38


class ElectionUnavailable(StoreError):
    """ZooKeeper cannot be reached or used for the election: nothing was changed, retry later."""

    exit_code = 30


class NoLeader(StoreError):
    """Nobody leads, or is known to: wait until one is elected."""

    exit_code = 31


class NoSuchCandidate(StoreError):
    """Nobody of that name stands for election: the message names those who do."""

    exit_code = 32


class HandoverFailed(StoreError):
    """Leadership was not handed over: see who leads, and try again."""

    exit_code = 33


class ReplicaDown(StoreError):
    """A replica does not answer, or has failed: look at its process and at its log."""

    exit_code = 40


class RegistrationRefused(StoreError):
    """The Mesos master refuses the framework for good: its description or its rights are wrong."""

    exit_code = 50


class FrameworkRemoved(RegistrationRefused):
    """The Mesos master has removed the framework, and all its tasks: its id is of no more use.

    So after its failover timeout without a scheduler, or a teardown. The message says how to
    register a new one.
    """

    exit_code = 51
