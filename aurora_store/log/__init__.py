"""The replicated log of Mesos, useful on its own: an agreed sequence of entries on several disks.

A log of one replica, in this process, with no server anywhere::

    from aurora_store.log import Log

    with Log.open("/var/lib/example/log") as log:
        log.elect()
        first = log.append(b"one")
        last = log.append(b"two")
        for entry in log.stream():
            print(entry.position, entry.data)
        follower = log.stream(from_=last, follow=True)
        print(follower.next(timeout=5.0).data)
        log.truncate(last)
        print(log.beginning() == last)

which prints::

    1 b'one'
    2 b'two'
    b'two'
    True

Several replicas agree by Paxos; a quorum of them must be up. See ``docs/log.md``.
"""

from aurora_store.log.log import Log
from aurora_store.log.members import Address, Peer, ZooKeeperAddress
from aurora_store.log.outcomes import (
    AppendOutcomeUnknown,
    CannotCompact,
    LogFailed,
    NoAnswer,
    NotElected,
    PositionMissing,
    PositionPending,
)
from aurora_store.log.position import Entry, Position
from aurora_store.log.stream import Progress, Stream

__all__ = [
    "Address",
    "AppendOutcomeUnknown",
    "CannotCompact",
    "Entry",
    "Log",
    "LogFailed",
    "NoAnswer",
    "NotElected",
    "Peer",
    "Position",
    "PositionMissing",
    "PositionPending",
    "Progress",
    "Stream",
    "ZooKeeperAddress",
]
