"""A store: one replica of a SQL database whose transaction log is the Mesos replicated log.

    with Store.open("/var/lib/scheduler") as store:
        store.lead()
        with store.begin() as connection:
            connection.execute(text("CREATE TABLE task (id TEXT PRIMARY KEY, status TEXT)"))

Every replica of a scheduler opens one. The one that leads writes; the others follow the log, can be
read, and take over within milliseconds.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from aurora_store import __version__, driver, history, snapshots, tokens, upgrades
from aurora_store.backup import Backup, write_backup
from aurora_store.batch import Batch
from aurora_store.dialect import create_engine
from aurora_store.errors import (
    Corrupt,
    FormatTooNew,
    LogTruncated,
    LogUnavailable,
    NotLeader,
    StoreClosed,
    WaitTimeout,
)
from aurora_store.image import Image
from aurora_store.log import Log, Position
from aurora_store.maintenance import Maintenance, Policies
from aurora_store.native import Outcome, c_text, call, ffi, lib
from aurora_store.recovery.restore import Restored, restore
from aurora_store.snapshots import ProgressReport, Snapshot
from aurora_store.status import LeadTiming, State, Status, read_status, state_of

if TYPE_CHECKING:
    from aurora_store.control import ControlServer
    from aurora_store.migrations import Entry, Schema
    from aurora_store.migrations.migrator import Migrator

__all__ = ["Store"]

_POOL_SIZE = 16
_MAX_OVERFLOW = 256
_DEFAULT_POLICIES = Policies()


class Store:
    """One replica. Any thread may use it at any time. Made by `Store.open`."""

    def __init__(
        self,
        log: Log,
        *,
        name: str | None = None,
        host: str | None = None,
        begin_timeout: float = 30.0,
        append_timeout: float = 10.0,
        heartbeat: float = 1.0,
        entry_limit: int = 1 << 20,
        snapshot_share: float = 0.25,
        snapshot_chunk: int = 64 << 10,
        maintenance: Policies | None = None,
        schema: Schema | None = None,
    ) -> None:
        """Takes over an opened log, and closes it when it is closed. See `open` for the rest."""
        self._log = log
        self._control: ControlServer | None = None
        self._closed = False
        self.name = name or uuid.uuid4().hex
        self.host = host or socket.gethostname()
        self.heartbeat = heartbeat
        self.instance = uuid.uuid4().hex
        self.under_election = False
        """Whether a `Candidate` sees to who leads: then a restore leaves it to that."""
        texts = {
            "host": c_text(self.host[:255]),
            "software": c_text(f"aurora-store {__version__}"),
            "instance": c_text(self.instance),
            "schema": c_text(", ".join(schema.heads)[:255] if schema else ""),
        }
        options = ffi.new("aur_store_options *", texts)
        options.append_timeout_s = append_timeout
        options.heartbeat_s = heartbeat
        options.entry_limit_bytes = entry_limit
        options.snapshot_share = snapshot_share
        options.snapshot_chunk_bytes = snapshot_chunk
        native = lib.aur_store_open(log.handle, options)
        if native == ffi.NULL:
            raise MemoryError("no memory for a store")
        self._native = ffi.gc(native, lib.aur_store_free)
        handle = driver.StoreHandle(
            lib.aur_store_database(self._native), begin_timeout_s=begin_timeout
        )
        self._migrator: Migrator | None = None
        if schema is not None:
            from aurora_store.migrations.migrator import Migrator

            self._migrator = Migrator(schema, handle, self.host)
            handle = replace(handle, admit=self._migrator.admit)
        driver.register(self.name, handle)
        pool: dict[str, Any] = {"pool_size": _POOL_SIZE, "max_overflow": _MAX_OVERFLOW}
        self._engine = create_engine(handle, **pool)
        self._read_engine = create_engine(handle, read_only=True, **pool)
        self._maintenance = None if maintenance is None else Maintenance(self, maintenance)
        if self._maintenance is not None:
            self._maintenance.start()

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        *,
        quorum: int | None = None,
        peers: Sequence[str] = (),
        zookeeper: str | None = None,
        address: str = "127.0.0.1:0",
        advertise: str | None = None,
        auto_initialize: bool | None = None,
        libmesos: str | os.PathLike[str] | None = None,
        name: str | None = None,
        host: str | None = None,
        begin_timeout: float = 30.0,
        append_timeout: float = 10.0,
        heartbeat: float = 1.0,
        entry_limit: int = 1 << 20,
        snapshot_share: float = 0.25,
        snapshot_chunk: int = 64 << 10,
        control: bool = True,
        maintenance: Policies | None = _DEFAULT_POLICIES,
        schema: Schema | None = None,
    ) -> Store:
        """Opens a replica; it follows the log from now on. Returns at once: see `wait_caught_up`.

        Args:
            directory, quorum, peers, zookeeper, address, advertise, auto_initialize, libmesos: of
                the replicated log, see `aurora_store.log.Log.open`. The directory alone makes a
                store of one replica.
            name: for URLs, ``sqlite+aurora:///NAME``; unique in this process.
            host: what the log tells the others about this replica when it leads: where to find it.
                Up to 255 bytes; by default this machine's name.
            begin_timeout: how long a transaction waits in line for the write lock, in seconds.
            append_timeout: a leader that no quorum answers for so long steps down, in seconds.
            heartbeat: an idle leader appends an entry so often, in seconds; 0: never. It bounds
                the lag of the standbys.
            entry_limit: transactions that compress to more bytes are cut into several entries.
            snapshot_share: how much of the log's time a snapshot may take beside transactions:
                above 0, to 1.
            snapshot_chunk: of a snapshot's entries, in bytes as compressed: what a commit may have
                to wait for.
            control: whether the command line may ask this store to do something, through the socket
                ``control.sock`` in its directory (`aurora_store.control`).
            maintenance: what the store does by itself to keep its log and disk in bounds, see
                `aurora_store.maintenance`; ``None``: nothing, so the log grows until somebody calls
                `snapshot` and truncates it.
            schema: what this software knows of the database's tables: the leader migrates to it,
                and every transaction is refused where they do not fit, see
                `aurora_store.migrations`. Without one the tables are the caller's affair.

        Raises:
            ValueError, LibmesosNotFound, LogInUse, LogUnavailable, Corrupt: as `Log.open`.
        """
        log = Log.open(
            directory,
            quorum=quorum,
            peers=peers,
            zookeeper=zookeeper,
            address=address,
            advertise=advertise,
            auto_initialize=auto_initialize,
            libmesos=libmesos,
        )
        try:
            store = cls(
                log,
                name=name,
                host=host,
                begin_timeout=begin_timeout,
                append_timeout=append_timeout,
                heartbeat=heartbeat,
                entry_limit=entry_limit,
                snapshot_share=snapshot_share,
                snapshot_chunk=snapshot_chunk,
                maintenance=maintenance,
                schema=schema,
            )
        except BaseException:
            log.close()
            raise
        if control:
            from aurora_store.control.server import listen

            store._control = listen(store)
        return store

    # ---- roles ----

    def lead(self, *, timeout: float = 30.0) -> LeadTiming:
        """Becomes the leader: from here on no older one can commit.

        On a replica that leads already it appends a heartbeat, for it may have been deposed and not
        have heard of it. If a quorum takes it the reign goes on; if not it ends, and the replica is
        elected anew: then the position of the LEADER entry is another one.

        A store with a schema migrates the database first, in one transaction, however long that
        takes; transactions of other threads are refused, or wait in line, until it is done.

        Raises:
            NotLeader: other candidates won all the time.
            LogUnavailable: no quorum answered within `timeout` seconds.
            Corrupt, FormatTooNew: this copy must not lead.
            SchemaMismatch: this software must not lead; nobody was deposed for it, if it was known.
            MigrationFailed: the database is as it was, and this replica leads no more; nobody was
                deposed for a revision that fails on any database.
        """
        if self._migrator is None:
            return self._elect(timeout)
        return upgrades.lead(self, self._migrator, self._elect, timeout=timeout)

    def _elect(self, timeout: float) -> LeadTiming:
        timing = ffi.new("aur_lead_timing *")
        _, outcome = call(lib.aur_store_lead, self._native, timeout, timing)
        if outcome.status == lib.AUR_NONE:
            raise NotLeader(f"{self._where}: not elected within {timeout:g} s: {outcome.reason}")
        if outcome.status != lib.AUR_OK:
            self._fail(outcome, "become leader", LogUnavailable)
        return LeadTiming(
            Position(outcome.position),
            timing.election_s,
            timing.catch_up_s,
            timing.leader_entry_s,
        )

    def step_down(self, *, timeout: float = 30.0) -> None:
        """Stops leading once every commit is durable. Transactions that are open fail.

        Raises:
            WaitTimeout: the last commits were not acknowledged within `timeout` seconds.
        """
        _, outcome = call(lib.aur_store_step_down, self._native, timeout)
        if outcome.status != lib.AUR_OK:
            self._fail(outcome, "step down", WaitTimeout)

    # ---- schema ----

    @property
    def migrator(self) -> Migrator | None:
        """How this replica's software stands to the database; `None` without a schema."""
        return self._migrator

    def unfit(self) -> str:
        """Why this replica's software must not lead; empty if it may, or must lead to find out."""
        return upgrades.unfit(self)

    def downgrade(self, to: str, *, lead: bool = False) -> list[Entry]:
        """Undoes what builds upon revision `to`, in one transaction; returns it, newest first.

        With the SQL that the database has, so the software need not know these revisions. They are
        not applied again before `upgrade`. A leader whose software needs them steps down,
        and so does one that stands for election if it became the leader for this.

        Args:
            to: what stays. ``REVISION@base``, as in Alembic: nothing of that one's branch does.
            lead: become the leader for it. Software that does not know the revisions leads no other
                way.

        Raises:
            MigrationFailed: there is nothing to undo, or it cannot be undone; nothing was changed.
            NotLeader, LogUnavailable, and what a commit may raise.
        """
        return upgrades.downgrade(self, self._elect, to, leading=lead)

    def upgrade(self, *, lead: bool = False) -> list[Entry]:
        """Has what was undone applied again; returns what that adds to the journal.

        It is released, and applied at once if this software knows it; otherwise it is once software
        leads that does.

        Args:
            lead: become the leader for it, where all software needs what was undone, so that nobody
                leads. One that stands for election steps down afterwards.

        Raises:
            MigrationFailed: there is no schema, or a revision fails: it stays released, and this
                replica leads no more.
            NotLeader, LogUnavailable, and what a commit may raise.
        """
        return upgrades.upgrade(self, self._elect, leading=lead)

    # ---- transactions ----

    @property
    def engine(self) -> Engine:
        """SQLAlchemy engine for transactions that write. Each waits in line for the write lock."""
        return self._engine

    @property
    def read_engine(self) -> Engine:
        """SQLAlchemy engine for reading: what is durable, without waiting for writers."""
        return self._read_engine

    @contextmanager
    def begin(self, *, token: str | None = None) -> Iterator[Connection]:
        """A transaction that writes; durable on a quorum when the block has ended.

        Args:
            token: makes it happen once, see `aurora_store.tokens`; from `aurora_store.new_token`.

        Raises:
            NotLeader: nothing was written, ask the leader.
            WriterBusy: nothing was written, retry.
            LeadershipLost: certainly not in the log.
            CommitOutcomeUnknown: no next leader has settled it within another `append_timeout`.
            AlreadyCommitted: a transaction with this token is in the log; nothing was run.
            TokenRefused, TokenExpired: nothing was run either.
        """
        if token is None:
            with self._engine.begin() as connection:
                yield connection
        else:
            with tokens.transaction(self, token) as connection:
                yield connection

    def outcome(self, token: str) -> tokens.TokenOutcome:
        """What became of the transaction with this token: certain, and the same for ever.

        Any replica tells an answer that it has applied. One that has none is given by the leader
        alone: `NOT_COMMITTED`, and by a commit. Attempts that are still under way are refused from
        then on, so run the transaction again with a new token.

        Raises:
            NotLeader: this replica does not know, ask the leader; or leadership was lost meanwhile.
            TokenExpired: it was forgotten.
            WriterBusy, LogUnavailable, StoreClosed: ask again later.
        """
        return tokens.outcome(self, token)

    def expire_tokens(self, older_than: timedelta) -> int:
        """Forgets tokens made longer ago than that; returns how many. On the leader.

        In transactions of 10,000 tokens at most. Whoever comes with an older one later gets
        `TokenExpired`.
        """
        return tokens.expire(self, older_than)

    @contextmanager
    def read(self, *, at: history.Moment | None = None) -> Iterator[Connection]:
        """A transaction that reads one durable version of the database, however long it takes.

        Args:
            at: reads the database as it was at that position of the log, or at that time (one with
                a time zone): after the last entry that is not later, by the leaders' clocks. Takes
                as long as reading the log up to there, and as much memory as that database.

        Raises:
            LogTruncated: `at` is before the history kept. NotYetInLog: it is after what this
                replica has applied. Corrupt: the log is damaged before it.
        """
        if at is not None:
            with history.reading(self, at) as connection:
                yield connection
            return
        with self._read_engine.begin() as connection:
            yield connection

    def session(self, **options: Any) -> Session:
        """An ORM session that writes; `options` are those of `sqlalchemy.orm.Session`."""
        return Session(self._engine, **options)

    def read_session(self, *, at: history.Moment | None = None, **options: Any) -> Session:
        """An ORM session that reads; the database as it was, with `at`: see `read`.

        One with `at` holds that database in memory until it is closed, for good.
        """
        if at is not None:
            return history.session(self, at, **options)
        return Session(self._read_engine, **options)

    def batch(self, *, limit: int = 1000) -> Batch:
        """Runs small units of work together, at most `limit` in a transaction: see `Batch`."""
        return Batch(self, limit=limit)

    def image(self) -> Image:
        """Holds the durable version of now, to copy it; nobody waits. Close it when done.

        Raises:
            LogUnavailable: this replica is still loading, or its copy failed a check.
        """
        return Image(lib.aur_store_database(self._native))

    def backup(
        self,
        path: str | os.PathLike[str],
        *,
        compress: bool = False,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Backup:
        """Copies the durable version of now into an ordinary SQLite file, and a sidecar beside it.

        On a leader or a standby, which go on meanwhile. See `aurora_store.backup`.

        Args:
            path: of the file, compressed if its name ends in .zst. A backup that is there is
                replaced once the new one is on disk; nothing else is. In a directory it gets a
                name that sorts by time.
            compress: with zstd, in a directory.
            progress: is called with ("backup", pages done, pages in all).

        Raises:
            ValueError: `compress` with a file of another name.
            BackupFailed: it cannot be written; a backup that was there is as it was.
            Corrupt: this replica's copy in memory is damaged.
            LogUnavailable, StoreClosed: this replica cannot be read.
        """
        return write_backup(self, path, compress=compress, progress=progress)

    def restore(
        self,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        keep: str | os.PathLike[str] | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Restored:
        """Makes a SQLite file the database, in one transaction, and begins a new reign.

        On the leader. See `aurora_store.recovery.restore`; what was there before stays in the log
        until that is truncated, and as a backup in `keep`.
        """
        return restore(self, path, force=force, keep=keep, progress=progress)

    # ---- snapshots and truncation ----

    def snapshot(
        self, *, timeout: float = 3600.0, progress: ProgressReport | None = None
    ) -> Snapshot:
        """Writes the database of now into the log, beside the transactions, and waits for its end.

        One that is under way is waited for. It goes on by itself, also under the next leader.

        Args:
            timeout: how long to wait for its end, in seconds.
            progress: is called with ("snapshot", pages done, pages in all).

        Raises:
            NotLeader: nothing was written, ask the leader.
            WaitTimeout: it is not complete yet, and goes on.
            SnapshotAbandoned: it will not be complete; the message says why.
            StoreClosed, LogUnavailable: of this replica.
        """
        return snapshots.take(self, self._native, timeout=timeout, progress=progress)

    def snapshots(self) -> list[Snapshot]:
        """The complete snapshots in the log, newest first.

        Raises:
            LogUnavailable: this replica's log cannot be read now.
            Corrupt: an entry that should begin one is something else.
        """
        return snapshots.list_snapshots(self)

    def verify_snapshot(
        self,
        position: int,
        *,
        timeout: float = 3600.0,
        progress: ProgressReport | None = None,
    ) -> Snapshot:
        """Reads the snapshot that begins at `position` back from this replica's log, and checks it.

        Every checksum, and that of the database over all its pages, none of which is kept.

        Raises:
            NoSuchSnapshot: none begins there, or it is not complete.
            Corrupt: it is damaged; the message says at which position of the log.
            LogTruncated: the log begins after it.
            WaitTimeout: not within `timeout` seconds.
        """
        return snapshots.verify(self._native, position, timeout=timeout, progress=progress)

    def truncate(self, to: int) -> Position:
        """Forgets the log before position `to`; returns the position of the truncation itself.

        Waits as long as a commit may take. `to` is at most where the newest complete snapshot
        begins: verify it first (`verify_snapshot`).

        Raises:
            NotLeader: nothing was truncated, ask the leader.
            TruncationRefused: no complete snapshot would make up for what goes.
            CommitOutcomeUnknown: no quorum answered; this reign is over.
        """
        return snapshots.truncate(self._native, to)

    # ---- waiting and looking ----

    def wait_caught_up(self, *, timeout: float = 60.0) -> Position:
        """Waits until this replica has read all that the log had when this was called.

        While nobody leads the last position may be undecided: it is then left out, and settled by
        the next leader.

        Raises:
            WaitTimeout: it was not enough time; the message says how far it got.
            Corrupt, FormatTooNew, LogUnavailable: it never will.
        """
        _, outcome = call(lib.aur_store_wait_caught_up, self._native, timeout)
        if outcome.status != lib.AUR_OK:
            self._fail(outcome, "catch up with the log", WaitTimeout)
        snapshots.tell_start(self)
        return Position(outcome.position)

    def wait_for(self, position: int, *, timeout: float = 30.0) -> None:
        """Waits until this replica has applied `position`: reads here then see that commit.

        Raises:
            WaitTimeout: it did not within `timeout` seconds.
        """
        _, outcome = call(lib.aur_store_wait_position, self._native, position, timeout)
        if outcome.status != lib.AUR_OK:
            self._fail(outcome, f"reach position {position}", WaitTimeout)

    def wait_state_change(self, state: State, *, timeout: float = 30.0) -> State:
        """Waits while the state is `state`, up to `timeout` seconds. Returns the state then."""
        raw = next(number for number in range(6) if state_of(number) is state)
        return state_of(lib.aur_store_wait_state(self._native, raw, timeout))

    @property
    def log(self) -> Log:
        """The replicated log beneath, to look at. Writing to it is the store's business alone."""
        return self._log

    @property
    def position(self) -> Position:
        """The log position that this replica has applied; after a commit it includes it."""
        return self.status().position

    def status(self) -> Status:
        """State, position, lag and counters of this moment."""
        maintenance = None if self._maintenance is None else self._maintenance.status()
        return replace(read_status(self._native), maintenance=maintenance)

    def verify_checksum(self) -> tuple[int, int]:
        """Recomputes the checksum over every page; returns it with the one kept all along.

        They are equal unless this process's memory was damaged. Takes 0.25 s per GB.
        """
        rolling = ffi.new("uint64_t *")
        return lib.aur_store_recompute_checksum(self._native, rolling), rolling[0]

    def close(self) -> None:
        """Ends everything under way, quickly. Commits that were not acknowledged say so.

        Idempotent. Call `step_down` first for a leader whose last commits should get through.
        """
        if self._closed:
            return
        self._closed = True
        if self._control is not None:
            self._control.close()
        if self._maintenance is not None:
            self._maintenance.stop()
        driver.unregister(self.name)
        lib.aur_store_close(self._native)
        self._engine.dispose()
        self._read_engine.dispose()
        self._log.close()
        if self._maintenance is not None:
            self._maintenance.join()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _where(self) -> str:
        return f"the store in {self._log.directory}"

    def _fail(
        self, outcome: Outcome, doing: str, otherwise: Callable[[str], Exception]
    ) -> NoReturn:
        message = f"{self._where} cannot {doing}: {outcome.reason}"
        if outcome.status == lib.AUR_CLOSED:
            raise StoreClosed(message)
        if outcome.status == lib.AUR_TRUNCATED:
            raise LogTruncated(message)
        if outcome.status == lib.AUR_TOO_NEW:
            raise FormatTooNew(message, hint="upgrade aurora-store on this replica")
        if outcome.status == lib.AUR_CORRUPT:
            raise Corrupt(message)
        if outcome.status == lib.AUR_FAILED:
            raise LogUnavailable(message)
        raise otherwise(message)
