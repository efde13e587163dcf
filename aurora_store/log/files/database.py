"""A LevelDB database as it lies on the disk, read without opening it.

Nothing is written and no lock is taken, so it may be in use: files that a compaction takes away
meanwhile are looked for in the next state of the database. What is damaged is noted, and reading
goes on.
"""

from __future__ import annotations

import heapq
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aurora_store.errors import LogUnavailable
from aurora_store.log.files.coding import Malformed
from aurora_store.log.files.damage import Damage
from aurora_store.log.files.manifest import CURRENT, Manifest, TableFile, read_manifest
from aurora_store.log.files.table import Item, Lost, table_items
from aurora_store.log.files.wal import Writes, read_wal

_FILE = re.compile(r"(\d{6,})\.(log|ldb|sst)")
_DATA = re.compile(r"\d{6,}\.(log|ldb|sst)|MANIFEST-\d{6,}")
_TRIES = 50
_PAUSE_S = 0.02

Positions = Callable[[bytes, bytes], "tuple[int, int] | None"]
"""Tells which positions have keys from the first one up to the second one."""


class Database:
    """The keys and values of a directory. For one thread at a time."""

    def __init__(self, directory: Path, positions: Positions) -> None:
        """Reads which files there are, and the logs.

        Raises:
            LogUnavailable: there is no database, or it cannot be read; nothing is the matter with
                its content.
        """
        self.directory = directory
        self._positions = positions
        self._damages: dict[Damage, None] = {}  # in order, each once
        self._state = self._load()

    @property
    def damages(self) -> list[Damage]:
        """What was found so far."""
        return list(self._damages)

    @property
    def torn(self) -> tuple[str, int] | None:
        """Name of the newest log, and where it ends within a write: one that is under way, or was
        when its process ended. It was never acknowledged, so nothing is lost."""
        return self._state.torn

    @property
    def size(self) -> int:
        """Bytes of the files that hold keys and values."""
        return self._state.log_bytes + sum(table.size for table in self._state.tables)

    def damaged(self, damage: Damage) -> None:
        """Notes damage, once."""
        self._damages.setdefault(damage)

    def refresh(self) -> bool:
        """Looks whether something was written since. Returns whether it was."""
        if self._stamp(self._state.manifest_name) == self._state.stamp:
            return False
        self._state = self._load()
        return True

    def items(
        self, first: bytes = b"", progress: Callable[[int], None] | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in order, from the key `first` on.

        Args:
            progress: called with the bytes of each file that was read.
        """
        tries = 0
        if progress is not None:
            progress(self._state.log_bytes)
        while True:
            try:
                for key, value in _newest(self._sources(first, progress)):
                    tries, first = 0, key + b"\0"
                    if value is not None:
                        yield key, value
                return
            except _Vanished:
                tries += 1
                if tries == _TRIES:
                    raise self._restless() from None
                self._state = self._load()

    def last_keys(self, pattern: re.Pattern[bytes]) -> list[bytes]:
        """Keys of which one is the last of those that match, unless it was deleted: that of each
        table and the logs' last one. Reads nothing."""
        keys = [table.largest for table in self._state.tables]
        keys += [key for key, (_, value) in self._state.writes.items() if value is not None]
        return list(filter(pattern.fullmatch, keys))

    # ---- which files there are ----

    def _load(self) -> _State:
        for _ in range(_TRIES):
            found: list[Damage] = []
            try:
                state = self._load_once(found)
            except FileNotFoundError:
                state = None  # it was just taken away
            except OSError as exc:
                raise self._unreadable(exc) from exc
            if state is not None and self._stamp(state.manifest_name)[:2] == state.stamp[:2]:
                for damage in found:
                    self.damaged(damage)
                return state
            time.sleep(_PAUSE_S)
        raise self._restless()

    def _load_once(self, found: list[Damage]) -> _State:
        manifest_name, problem = self._current()
        stamp = self._stamp(manifest_name)
        manifest = Manifest()
        if problem is None:
            problem = self._read_manifest(manifest_name, manifest, found)
        logs, tables = self._files()
        if problem is None and manifest.log_number and manifest.log_number not in logs:
            name = f"{manifest.log_number:06d}.log"
            problem = Damage(name, None, "the file is missing; the manifest names it")
        if problem is not None:
            # Sequence numbers tell old from new, so whatever lies there can be read together.
            found.append(problem)
            manifest = Manifest(tables=self._all_tables(tables))
        writes: Writes = {}
        torn: tuple[str, int] | None = None
        size = 0
        for number, name in sorted(logs.items()):
            if number < manifest.log_number and number != manifest.previous_log:
                continue  # all of it is in tables
            if torn is not None:
                found.append(Damage(*torn, "it ends within a write, and a newer log follows"))
            try:
                data = (self.directory / name).read_bytes()
            except (FileNotFoundError, PermissionError):
                raise
            except OSError as exc:
                found.append(Damage(name, None, f"the file cannot be read: {exc.strerror}"))
                continue
            size += len(data)
            at = read_wal(name, data, writes, found.append)
            torn = None if at is None else (name, at)
        in_order = sorted(manifest.tables.values(), key=lambda table: table.smallest)
        return _State(manifest_name, stamp, in_order, tables, writes, torn, size)

    def _current(self) -> tuple[str, Damage | None]:
        """The manifest's name, or the newest one that is there and what is wrong."""
        try:
            current = (self.directory / "CURRENT").read_bytes()
        except FileNotFoundError:
            problem = Damage("CURRENT", None, "the file is missing")
        else:
            found = CURRENT.fullmatch(current)
            if found is not None:
                return found[1].decode(), None
            problem = Damage("CURRENT", 0, "it does not name a manifest")
        manifests = [name for name in os.listdir(self.directory) if name.startswith("MANIFEST-")]
        return max(manifests, default="MANIFEST"), problem

    def _read_manifest(self, name: str, manifest: Manifest, found: list[Damage]) -> Damage | None:
        """Fills in the manifest. Returns what is wrong with it as a whole."""
        try:
            data = (self.directory / name).read_bytes()
        except FileNotFoundError:
            return Damage(name, None, "the file is missing; CURRENT names it")
        before = len(found)
        try:
            read = read_manifest(name, data, found.append)
        except Malformed as exc:
            raise LogUnavailable(f"{self.directory} is no log of Mesos: {exc}") from exc
        manifest.tables, manifest.log_number = read.tables, read.log_number
        manifest.previous_log = read.previous_log
        if len(found) > before:
            return found.pop()
        if read.torn_at is not None:
            return Damage(name, read.torn_at, "it ends within a record")
        return None if read.records else Damage(name, 0, "it is empty")

    def _files(self) -> tuple[dict[int, str], dict[int, str]]:
        """Names of the logs and of the tables, by number."""
        logs: dict[int, str] = {}
        tables: dict[int, str] = {}
        for name in os.listdir(self.directory):
            found = _FILE.fullmatch(name)
            if found is not None:
                (logs if found[2] == "log" else tables)[int(found[1])] = name
        return logs, tables

    def _all_tables(self, names: dict[int, str]) -> dict[int, TableFile]:
        tables = {}
        for number, name in names.items():
            path = self.directory / name
            begin = next(table_items(path, b"", lambda *_: None), (b"",))[0]
            tables[number] = TableFile(number, path.stat().st_size, begin, b"")
        return tables

    def _stamp(self, manifest: str) -> tuple[object, ...]:
        """Changes when something was written; its first two parts when the set of files did."""
        try:
            current = (self.directory / "CURRENT").read_bytes()
        except OSError:
            current = b""
        sizes = {}
        try:
            for entry in os.scandir(self.directory):
                if _DATA.fullmatch(entry.name):
                    sizes[entry.name] = entry.stat().st_size
        except FileNotFoundError:
            return current, None, None
        logs = {name: size for name, size in sizes.items() if name.endswith(".log")}
        return current, sizes.get(manifest), logs

    # ---- what is in them ----

    def _sources(
        self, first: bytes, progress: Callable[[int], None] | None
    ) -> Iterator[tuple[bytes, Iterator[Item]]]:
        """What to merge, each with a key that it does not begin before, in their order."""
        yield (
            first,
            iter(sorted((k, *write) for k, write in self._state.writes.items() if k >= first)),
        )
        for table in self._state.tables:
            if not table.largest or table.largest >= first:
                yield table.smallest, self._table(table, first, progress)

    def _table(
        self, table: TableFile, first: bytes, progress: Callable[[int], None] | None
    ) -> Iterator[Item]:
        name = self._state.names.get(table.number, f"{table.number:06d}.ldb")

        def problem(offset: int | None, what: str, lost: Lost | None) -> None:
            positions = None
            if lost is not None:
                after, to = lost
                to = min(to, table.largest) if to and table.largest else to or table.largest
                begin = after + b"\0" if after else table.smallest
                positions = self._positions(begin, to) if to else None
            self.damaged(Damage(name, offset, what, positions))

        try:
            yield from table_items(self.directory / name, first, problem)
        except FileNotFoundError:
            if self._taken_away(table):
                raise _Vanished from None
            problem(None, "the file is missing", (b"", None))
        except PermissionError as exc:
            raise self._unreadable(exc) from exc
        except OSError as exc:
            problem(None, f"the file cannot be read: {exc.strerror}", (b"", None))
        if progress is not None:
            progress(table.size)

    def _taken_away(self, table: TableFile) -> bool:
        """Whether the database has no use for the table any more."""
        manifest_name, problem = self._current()
        if problem is not None or manifest_name != self._state.manifest_name:
            return problem is None
        manifest = Manifest()
        problem = self._read_manifest(manifest_name, manifest, [])
        return problem is None and table.number not in manifest.tables

    # ---- errors ----

    def _restless(self) -> LogUnavailable:
        return LogUnavailable(
            f"the files in {self.directory} change faster than they can be read",
            hint="try again, or copy the directory and look at the copy",
        )

    def _unreadable(self, exc: OSError) -> LogUnavailable:
        return LogUnavailable(
            f"{exc.filename or self.directory} cannot be read: {exc.strerror}",
            hint="run it as the user of the replica's process, or as root",
        )


@dataclass(frozen=True, slots=True)
class _State:
    """What the database consisted of at one moment."""

    manifest_name: str
    stamp: tuple[object, ...]
    tables: list[TableFile]  # by their first keys
    names: dict[int, str]  # of tables
    writes: Writes
    torn: tuple[str, int] | None
    log_bytes: int


class _Vanished(Exception):
    """A file is gone because the database went on."""


def _newest(
    sources: Iterator[tuple[bytes, Iterator[Item]]],
) -> Iterator[tuple[bytes, bytes | None]]:
    """Merges sources, and keeps of each key what was written last.

    A source is begun when its first key is reached, so few of many tables are open at a time.
    """
    heap: list[tuple[bytes, int, int, bytes | None, Iterator[Item]]] = []
    for number, (key, source) in enumerate(sources):
        # Before everything of that key: sequence numbers go down.
        heapq.heappush(heap, (key, -(1 << 64), number, None, source))
    newest: bytes | None = None
    while heap:
        key, order, number, value, source = heap[0]
        following = next(source, None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (following[0], -following[1], number, following[2], source))
        if order != -(1 << 64) and key != newest:
            newest = key
            yield key, value
