"""The replicated log of Mesos: `Log`."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aurora_store.errors import LogUnavailable, StoreClosed
from aurora_store.log import runtime
from aurora_store.log.directory import check_directory, disk_usage
from aurora_store.log.members import Address, Peer, ZooKeeperAddress, quorum_of
from aurora_store.log.outcomes import CannotCompact, NoAnswer, fail
from aurora_store.log.position import Entry, Position
from aurora_store.log.stream import Progress, Stream, take_entries
from aurora_store.native import Outcome, c_text, call, ffi, lib

_open_lock = threading.Lock()
_open_logs: weakref.WeakSet[Log] = weakref.WeakSet()


class Log:
    """One replica of a replicated log, and the means to write to the log and to read it.

    Made by `open`. Every method may be called by any thread at any time; those that wait take a
    `timeout` in seconds. Writing needs `elect` first, which fences every other writer.
    """

    def __init__(
        self,
        native: Any,
        directory: Path,
        address: str,
        note: str,
        zookeeper: ZooKeeperAddress | None,
        place: tuple[int, int],
    ) -> None:
        self._native = native
        self._zookeeper = zookeeper
        self._closed = False
        self._note = note  # added to the message when a new replica gets no answer
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self.directory = directory
        self.address = address
        """``host:port`` of this process for the other replicas."""
        self.place = place
        """Which of the static members this is, in the order of their addresses, and how many there
        are; (0, 1) where they meet in ZooKeeper."""

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        *,
        quorum: int | None = None,
        peers: Iterable[str] = (),
        zookeeper: str | None = None,
        zookeeper_session_timeout: float = 10.0,
        address: str = "127.0.0.1:0",
        advertise: str | None = None,
        auto_initialize: bool | None = None,
        libmesos: str | os.PathLike[str] | None = None,
        worker_threads: int = 0,
        metrics_prefix: str = "",
        timeout: float = 10.0,
    ) -> Log:
        """Opens the replica in `directory`, or makes one.

        Alone (neither `peers` nor `zookeeper`) it is a log of one replica. A log of several has an
        odd number of them, each in a process of its own.

        Args:
            directory: belongs to this replica; made if it is not there.
            quorum: replicas that make a majority. Needed with `zookeeper`; otherwise it follows
                from the peers.
            peers: the other replicas, ``"10.0.0.2:5050"``; this one may be among them.
            zookeeper: where the replicas meet: ``zk://[user:password@]host:port,.../znode``.
            zookeeper_session_timeout: after so many seconds of silence a replica is gone.
            address: where this process listens for the others. Port 0 is any free one, which
                suits a single replica and ZooKeeper.
            advertise: the address that the others should use, if it is not the same.
            auto_initialize: whether replicas without data may begin a new log, which takes all of
                them. Pass ``True`` for the first start of a log of several replicas, and never
                again: it would also turn the loss of all data into an empty log. A single replica
                does so by default.
            libmesos: the library to use (`aurora_store.libmesos.find`).
            worker_threads: of libprocess, for the whole process; 0 is the measured best: one, or
                three with ZooKeeper.
            metrics_prefix: of the metrics that libmesos keeps.
            timeout: for reaching ZooKeeper.

        Raises:
            ValueError: an argument cannot be understood, or they do not fit each other.
            LibmesosNotFound: there is no usable libmesos.
            LogInUse: the directory is open already, here or in another process.
            LogUnavailable: the directory, the address or ZooKeeper cannot be used.
            Corrupt: the directory's database is damaged.
        """
        path = Path(os.path.abspath(directory))
        own = Address.parse(address)
        advertised = None if advertise is None else Address.parse(advertise)
        others = [Peer.parse(peer) for peer in peers]
        meeting = None if zookeeper is None else ZooKeeperAddress.parse(zookeeper)
        quorum = _check_members(advertised or own, others, meeting, quorum)
        alone = meeting is None and quorum == 1
        if auto_initialize is None:
            auto_initialize = alone
        with _open_lock:
            existed = check_directory(path)
            if meeting is not None:
                from aurora_store.log.zookeeper import check_zookeeper

                check_zookeeper(meeting, timeout=timeout)
            if meeting is not None:
                worker_threads = _threads_for_zookeeper(worker_threads)
            where = runtime.start(
                own, advertise=advertised, libmesos=libmesos, worker_threads=worker_threads
            )
            texts = {
                "directory": c_text(str(path)),
                "peers": c_text(",".join(map(str, others)) or None),
                "zk_servers": c_text(meeting.connect_string if meeting else None),
                "zk_znode": c_text(meeting.znode if meeting else None),
                "zk_credentials": c_text(meeting.credentials if meeting else None),
                "metrics_prefix": c_text(metrics_prefix),
            }
            options = ffi.new("aur_mesos_log_options *", texts)
            options.quorum = quorum
            options.auto_initialize = auto_initialize
            options.zk_session_timeout_s = zookeeper_session_timeout
            native, outcome = call(lib.aur_log_open_mesos, options)
            if native == ffi.NULL:
                raise LogUnavailable(f"cannot open the log in {path}: {outcome.reason}")
        note = ""
        if not existed and not auto_initialize:
            note = (
                "; this replica has no data yet: it joins a log that a quorum has, and begins a new"
                " one only with auto_initialize"
            )
        members = sorted({str(peer.address) for peer in others} | {str(advertised or own)})
        place = members.index(str(advertised or own)), len(members)
        log = cls(ffi.gc(native, lib.aur_log_free), path, where, note, meeting, place)
        _open_logs.add(log)
        return log

    # ---- writing ----

    def elect(self, *, timeout: float = 10.0) -> Position:
        """Becomes the only writer of the log, and fences every other one.

        Returns:
            The last position; the local replica can be read up to it.

        Raises:
            NotElected: others won all the time.
            NoAnswer: no quorum answered.
        """
        return self._position(lib.aur_log_elect, timeout, doing="be elected")

    def append(self, data: bytes, *, timeout: float = 10.0) -> Position:
        """Appends an entry. It is on the disks of a quorum when this returns its position.

        Raises:
            NotElected: this writer is not elected, or not any more.
            AppendOutcomeUnknown: no quorum answered; the next elected writer settles what becomes
                of the entry.
        """
        return self._position(
            lib.aur_log_append, data, len(data), timeout, doing="append", writing=True
        )

    def truncate(self, to: int, *, timeout: float = 10.0) -> Position:
        """Forgets every entry before position `to`. Returns the position of the truncation.

        Raises:
            NotElected: as for `append`.
            AppendOutcomeUnknown: as for `append`.
            LogFailed: `to` is after the end of the log.
        """
        return self._position(
            lib.aur_log_truncate, to, timeout, doing=f"truncate to {to}", writing=True
        )

    # ---- reading the local replica ----

    def beginning(self, *, timeout: float = 10.0) -> Position:
        """The first position that was not truncated."""
        return self._position(lib.aur_log_beginning, timeout, doing="find the beginning")

    def ending(self, *, timeout: float = 10.0) -> Position:
        """The last position that the local replica has heard of; it may be pending yet."""
        return self._position(lib.aur_log_ending, timeout, doing="find the end")

    def catchup(self, *, timeout: float = 60.0) -> Position:
        """Asks a quorum for whatever the local replica lacks. Costly on a long log.

        Returns:
            The position up to which the local replica is complete. The very last one is left out.
        """
        return self._position(lib.aur_log_catchup, timeout, doing="catch up")

    def read(self, from_: int, to: int, *, timeout: float = 10.0) -> list[Entry]:
        """What the local replica has in this range, all at once; both ends included.

        Positions without an entry are left out, **and so is a hole at the end of the range**: only
        `stream` tells the two apart.

        Raises:
            LogTruncated: the range begins before the beginning of the log.
            PositionMissing: the local replica has a hole in the range.
            PositionPending: a position of the range is not agreed yet.
            LogFailed: the range ends after the end of the log.
        """
        entries, outcome = call(lib.aur_log_read, self.handle, from_, to, timeout)
        if outcome.status != lib.AUR_OK:
            self._fail(outcome, f"read {from_} to {to}")
        return list(take_entries(entries))

    def stream(
        self,
        *,
        from_: int | None = None,
        to: int | None = None,
        follow: bool = False,
        progress: Callable[[Progress], None] | None = None,
        window_bytes: int = 4 << 20,
        timeout: float = 10.0,
    ) -> Stream:
        """Iterates over entries in order, in bounded memory, whatever the log's length.

        Args:
            from_: the first position; by default the beginning of the log.
            to: the last position; by default the end that the log has now.
            follow: never end, but wait for more.
            progress: called after each portion.
            window_bytes: about so much is read at a time; at most two portions wait.
            timeout: for finding the end of the log, if neither `to` nor `follow` is given.
        """
        if follow and to is not None:
            raise ValueError("a stream that follows the log has no end: leave out either")
        if not follow and to is None:
            to = self.ending(timeout=timeout)
        stream = Stream(self, from_=from_, to=to, window_bytes=window_bytes, progress=progress)
        self._streams.add(stream)
        return stream

    # ---- its disk ----

    @property
    def can_compact(self) -> bool:
        """Whether `compact` works with this libmesos; otherwise only opening the log compacts."""
        return bool(lib.aur_log_can_compact(self.handle))

    def compact(self, *, timeout: float = 600.0) -> Position:
        """Gives the disk space of truncated entries back, while appends go on.

        Of this replica alone: each has to do it for its own directory, once it has learned of the
        truncation.

        Returns:
            The beginning of the log up to which nothing is left on the disk.

        Raises:
            CannotCompact: not with this libmesos: restart the replica, opening it compacts.
            NoAnswer: it takes longer than `timeout` seconds, and goes on.
        """
        if not self.can_compact:
            raise CannotCompact(
                f"cannot compact the log in {self.directory}: this libmesos does not show its"
                " LevelDB",
                hint="restart the replica: opening its directory compacts it",
            )
        return self._position(lib.aur_log_compact, timeout, doing="compact")

    def disk_bytes(self, from_: int, to: int) -> int:
        """About how many bytes of the disk the positions `from_` to `to` take, `to` excluded.

        What was written last, up to 4 MiB, does not count yet. 0 where `can_compact` is false.
        """
        return int(lib.aur_log_disk_bytes(self.handle, from_, to))

    def disk_usage(self) -> int:
        """The bytes of all files in its directory."""
        return disk_usage(self.directory)

    # ---- closing ----

    @property
    def handle(self) -> Any:
        """The native log, for the native parts that work on it."""
        if self._native is None:
            raise StoreClosed(f"the log in {self.directory} belongs to the parent of this process")
        return self._native

    @property
    def meets_in_zookeeper(self) -> bool:
        """Whether it is open and finds the other replicas through ZooKeeper."""
        return self._zookeeper is not None and not self._closed

    def close(self) -> None:
        """Ends every call under way with `StoreClosed`, and lets go of the directory."""
        if self._native is None:
            return
        for stream in list(self._streams):
            stream.cancel()
        lib.aur_log_close(self._native)
        self._closed = True

    def _forget(self) -> None:
        # In the child of a fork: the threads of libmesos are not there, so nothing can be closed.
        for stream in list(self._streams):
            stream.forget()
        if self._native is not None:
            ffi.gc(self._native, None)
            self._native = None

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _position(
        self, function: Callable[..., Any], *arguments: Any, doing: str, writing: bool = False
    ) -> Position:
        _, outcome = call(function, self.handle, *arguments)
        if outcome.status != lib.AUR_OK:
            self._fail(outcome, doing, writing=writing)
        return Position(outcome.position)

    def _fail(self, outcome: Outcome, doing: str, *, writing: bool = False) -> None:
        if outcome.status == lib.AUR_NO_ANSWER and not writing:
            raise NoAnswer(
                f"cannot {doing} in the log in {self.directory}: {outcome.reason}{self._note}"
            )
        fail(outcome, f"{doing} in the log in {self.directory}", writing=writing)


def _threads_for_zookeeper(wanted: int) -> int:
    # Two actors of each such log block a thread each while they wait for others to run.
    logs = 1 + sum(log.meets_in_zookeeper for log in _open_logs)
    least = 2 * logs + 1
    if wanted == 0 and logs == 1:
        return least
    if wanted < least:
        raise ValueError(
            f"{logs} logs that meet in ZooKeeper need worker_threads={least} in this process;"
            " pass it for every one"
        )
    return wanted


def _check_members(
    own: Address, peers: list[Peer], zookeeper: ZooKeeperAddress | None, quorum: int | None
) -> int:
    if zookeeper is not None:
        if peers:
            raise ValueError("the replicas meet in ZooKeeper or are named as peers, not both")
        if quorum is None or quorum < 1:
            raise ValueError("say the quorum: 2 for three replicas, 3 for five")
        if own.host in ("127.0.0.1", "localhost") and any(
            server.host not in ("127.0.0.1", "localhost") for server in zookeeper.servers
        ):
            raise ValueError(f"the other replicas cannot reach {own}: pass address=...")
        return quorum
    if peers and own.port == 0:
        raise ValueError("the peers need to know this replica's port: pass address='host:port'")
    return quorum_of(peers, own, quorum)


@atexit.register
def _close_all() -> None:
    for log in list(_open_logs):
        log.close()


def _forget_all() -> None:
    for log in list(_open_logs):
        log._forget()
    _open_logs.clear()


os.register_at_fork(after_in_child=_forget_all)
