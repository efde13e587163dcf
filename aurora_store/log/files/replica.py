"""A replica's directory: what libmesos keeps in it, read without opening it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aurora_store.errors import LogUnavailable
from aurora_store.log.files.action import Action, Kind, Metadata, parse_action, parse_metadata
from aurora_store.log.files.coding import Malformed
from aurora_store.log.files.damage import Damage
from aurora_store.log.files.database import Database

_METADATA = b"0000000000"
_KEY = re.compile(rb"\d{10}")
_WIDTH = 10
_DATABASE = re.compile(r"CURRENT|MANIFEST-\d{6,}|\d{6,}\.(log|ldb|sst)")

Ranges = list[tuple[int, int]]
"""First and last of each run of positions, ascending."""

Progress = Callable[[int, int], None]
"""Takes the bytes that were read, and those there are."""


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What a replica makes of its log."""

    metadata: Metadata
    begin: int
    """The first position that was not truncated."""
    end: int | None
    """The last position that anything is known of; ``None``: nothing was ever written."""
    holes: Ranges
    """Positions between them that the replica has nothing for. A standby asks the others."""
    unlearned: Ranges
    """Positions it has a value or a promise for, and does not know that it is agreed. The last
    one is often so while a writer is at work."""
    appends: int
    """Entries from `begin` on."""


class ReplicaDirectory:
    """The log of one replica as it lies on the disk. For one thread at a time.

    The process of the replica may be running. Nothing is written, no lock is taken. What is damaged
    is left out of everything here and listed in `damages`.
    """

    def __init__(self, path: Path, database: Database, metadata: Metadata) -> None:
        """See `read`."""
        self.path = path
        self.metadata = metadata
        self._database = database

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ReplicaDirectory:
        """Looks at a directory; takes milliseconds, whatever the size of the log.

        Raises:
            LogUnavailable: it is not there, cannot be read, or holds no log of Mesos.
        """
        directory = Path(os.path.abspath(path))
        _check(directory)
        database = Database(directory, _positions)
        return cls(directory, database, _metadata(database))

    @property
    def damages(self) -> list[Damage]:
        """What was found up to now, in the files that were read up to now."""
        return self._database.damages

    @property
    def torn(self) -> tuple[str, int] | None:
        """File and offset of a write that is not complete: one under way on a running replica,
        or what a crash left. It was not acknowledged to anybody, and is no damage."""
        return self._database.torn

    @property
    def size(self) -> int:
        """Bytes of all files with entries."""
        return self._database.size

    def entries(
        self, first: int = 0, last: int | None = None, *, progress: Progress | None = None
    ) -> Iterator[Action]:
        """What the replica has from position `first` to `last`, in order, read as it is wanted.

        Positions that it has nothing for are left out, as are damaged ones. After a crash during a
        truncation there may be entries before the log's beginning (`state`).
        """
        read, total = 0, self.size

        def report(size: int) -> None:
            nonlocal read
            read += size
            if progress is not None:
                progress(min(read, total), total)

        for key, value in self._database.items(_key(first), report):
            if not _KEY.fullmatch(key):
                self._damaged(f"the database holds a key that is no position: {key[:40]!r}")
                continue
            position = int(key) - 1
            if position < first:
                continue
            if last is not None and position > last:
                return
            try:
                action = parse_action(value)
                if action.position != position:
                    raise Malformed(f"it says that it is position {action.position}")
            except Malformed as exc:
                self._damaged(f"what is kept for a position is no action: {exc}", position)
                continue
            yield action

    def last_position(self) -> int:
        """The last position that anything is known of, or -1; found without reading the rest."""
        return max((int(key) - 1 for key in self._database.last_keys(_KEY)), default=-1)

    def state(self, *, progress: Progress | None = None) -> ReplicaState:
        """Reads all of it, and so finds all damage to the files."""
        return self.scan(lambda action: None, progress=progress)

    def scan(
        self, look: Callable[[Action], None], *, progress: Progress | None = None
    ) -> ReplicaState:
        """As `state`, and shows every action on the way."""
        state = _StateBuilder()
        for action in self.entries(progress=progress):
            state.add(action)
            look(action)
        return state.finish(self.metadata)

    def refresh(self) -> bool:
        """Makes what was written since the last look visible. Returns whether there is any.

        Raises:
            LogUnavailable: the directory cannot be read any more.
        """
        if not self._database.refresh():
            return False
        self.metadata = _metadata(self._database)
        return True

    def _damaged(self, what: str, position: int | None = None) -> None:
        positions = None if position is None else (position, position)
        self._database.damaged(Damage("", None, what, positions))


class _StateBuilder:
    """The rules by which libmesos finds out a replica's state."""

    def __init__(self) -> None:
        self._begin = 0
        self._end: int | None = None
        self._holes: Ranges = []
        self._unlearned: Ranges = []
        self._appends: list[int] = []  # runs of positions: first, last, first, last ...

    def add(self, action: Action) -> None:
        """Takes the next action; positions ascend."""
        position = action.position
        if self._end is not None and position > self._end + 1:
            self._holes.append((self._end + 1, position - 1))
        elif self._end is None and position > 0:
            self._holes.append((0, position - 1))
        self._end = position
        if not action.learned:
            _extend(self._unlearned, position)
        elif action.kind is Kind.TRUNCATE and action.truncate_to is not None:
            self._begin = max(self._begin, action.truncate_to)
        elif action.tombstone:
            self._begin = max(self._begin, position + 1)
        if action.kind is Kind.APPEND:
            if self._appends and self._appends[-1] == position - 1:
                self._appends[-1] = position
            else:
                self._appends += [position, position]

    def finish(self, metadata: Metadata) -> ReplicaState:
        """The state, after the last action."""
        begin = self._begin
        runs = zip(self._appends[::2], self._appends[1::2], strict=True)
        appends = sum(last - max(first, begin) + 1 for first, last in runs if last >= begin)
        return ReplicaState(
            metadata,
            begin,
            self._end,
            _from(begin, self._holes),
            _from(begin, self._unlearned),
            appends,
        )


def _extend(ranges: Ranges, position: int) -> None:
    if ranges and ranges[-1][1] == position - 1:
        ranges[-1] = (ranges[-1][0], position)
    else:
        ranges.append((position, position))


def _from(begin: int, ranges: Ranges) -> Ranges:
    return [(max(first, begin), last) for first, last in ranges if last >= begin]


def _key(position: int) -> bytes:
    return b"%010d" % (position + 1)


def _positions(first: bytes, last: bytes) -> tuple[int, int] | None:
    """Keys at the borders of a block may be shortened, or go on behind the ten digits."""
    if not (first[:_WIDTH].rstrip(b"\0").isdigit() and last[:_WIDTH].rstrip(b"\0").isdigit()):
        return None
    low = int(first[:_WIDTH].rstrip(b"\0").ljust(_WIDTH, b"0")) - (len(first) <= _WIDTH)
    high = int(last[:_WIDTH].rstrip(b"\0").ljust(_WIDTH, b"0")) - 1 - (len(last) < _WIDTH)
    return (max(low, 0), high) if high >= max(low, 0) else None


def _metadata(database: Database) -> Metadata:
    for key, value in database.items():
        if key == _METADATA:
            try:
                return parse_metadata(value)
            except Malformed as exc:
                if database.damages:
                    break
                raise _foreign(database.directory, key) from exc
        if not _KEY.fullmatch(key) and not database.damages:
            raise _foreign(database.directory, key)
        database.damaged(Damage("", None, "the replica's own state is missing"))
        break
    return Metadata()


def _foreign(directory: Path, key: bytes) -> LogUnavailable:
    return LogUnavailable(
        f"{directory} holds a LevelDB database, but no log of Mesos: it begins with the key"
        f" {key[:40]!r}",
        hint="name the directory of a replica: the one that Store.open or Log.open was given",
    )


def _check(directory: Path) -> None:
    hint = "name the directory of a replica: the one that Store.open or Log.open was given"
    try:
        names = os.listdir(directory)
    except FileNotFoundError as exc:
        raise LogUnavailable(f"there is no directory {directory}", hint=hint) from exc
    except NotADirectoryError as exc:
        raise LogUnavailable(f"{directory} is not a directory", hint=hint) from exc
    except OSError as exc:
        raise LogUnavailable(
            f"{directory} cannot be read: {exc.strerror}",
            hint="run it as the user of the replica's process, or as root",
        ) from exc
    if any(map(_DATABASE.fullmatch, names)):
        return
    inside = [name for name in sorted(names) if (directory / name / "CURRENT").exists()]
    if inside:
        hint = f"name the directory of a replica: {directory / inside[0]}"
    what = f"holds {', '.join(sorted(names)[:3])}" if names else "is empty"
    raise LogUnavailable(f"{directory} is no log directory: it {what}", hint=hint)
