"""What a call of the log can come to, other than its result: one exception each."""

from __future__ import annotations

from typing import NoReturn

from aurora_store.errors import (
    CommitOutcomeUnknown,
    LogTruncated,
    LogUnavailable,
    NotLeader,
    StoreClosed,
)
from aurora_store.native import Outcome, lib


class NotElected(NotLeader):
    """Outcome "none": another writer was elected, or this one never was. Elect, then read on.

    An append that was refused so may still turn up in the log: the newly elected writer settles it.
    """


class LogFailed(LogUnavailable):
    """Outcome "failed": libmesos gave the reason in the message."""


class NoAnswer(LogUnavailable):
    """Outcome "no answer": no quorum, or no local replica, answered a question in time."""


class AppendOutcomeUnknown(CommitOutcomeUnknown):
    """Outcome "no answer" to an append or a truncation: it may or may not be in the log.

    The next elected writer settles it: elect, then read to the end.
    """


class PositionMissing(LogUnavailable):
    """The local replica lacks a position (a hole): call `Log.catchup`, or use a stream."""


class PositionPending(LogUnavailable):
    """The local replica does not know yet whether a position is agreed: wait, or use a stream."""


class CannotCompact(LogUnavailable):
    """This libmesos does not let its disk be compacted while it runs: restart the replica."""


def fail(outcome: Outcome, doing: str, *, writing: bool = False) -> NoReturn:
    """Raises the exception for an outcome that is no result.

    Args:
        outcome: of the native call.
        doing: what was tried, as in "append to the log in /var/lib/x".
        writing: whether something was sent that may take effect later.
    """
    message = f"cannot {doing}: {outcome.reason}"
    match outcome.status:
        case lib.AUR_NONE:
            raise NotElected(message)
        case lib.AUR_NO_ANSWER if writing:
            raise AppendOutcomeUnknown(message)
        case lib.AUR_NO_ANSWER:
            raise NoAnswer(message)
        case lib.AUR_CLOSED:
            raise StoreClosed(message)
        case lib.AUR_TRUNCATED:
            raise LogTruncated(message)
        case lib.AUR_MISSING:
            raise PositionMissing(message)
        case lib.AUR_PENDING:
            raise PositionPending(message)
        case _:
            raise LogFailed(message)
