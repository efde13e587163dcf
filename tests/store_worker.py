"""One replica of a store in a process of its own: the functions that the tests here call in it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any

from sqlalchemy import text

from aurora_store import Store, new_token
from aurora_store.errors import CommitOutcomeUnknown, StoreError
from aurora_store.migrations import Schema

_store: Store | None = None
_bank: list[threading.Thread] = []
_acknowledged: list[int] = []
_unknown: list[int] = []
_errors: list[str] = []
_stopping = threading.Event()


def _opened() -> Store:
    assert _store is not None
    return _store


def open_store(revisions: str | None = None, software: str | None = None, **options: Any) -> None:
    """Opens it; with the schema of a directory of revisions, if there is one."""
    global _store
    schema = None if revisions is None else Schema(revisions, software=software)
    _store = Store.open(options.pop("directory"), schema=schema, **options)


def catch_up(timeout: float = 30.0) -> int:
    return int(_opened().wait_caught_up(timeout=timeout))


def lead(timeout: float = 30.0) -> int:
    return int(_opened().lead(timeout=timeout).position)


def step_down() -> None:
    _opened().step_down()


def script(statements: list[str]) -> int:
    """Runs the statements as one transaction; returns a position that includes it."""
    with _opened().begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    return int(_opened().position)


def bulk(rows: int, size: int) -> int:
    """Inserts rows of random bytes as one transaction."""
    with _opened().begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS bulk (id INTEGER PRIMARY KEY, b BLOB)"))
        connection.execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows) "
                "INSERT INTO bulk (b) SELECT randomblob(:size) FROM n"
            ),
            {"rows": rows, "size": size},
        )
    return int(_opened().position)


def vacuum() -> int:
    """VACUUM runs outside a transaction."""
    with _opened().engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM"))
    return int(_opened().position)


def query(statement: str) -> list[list[Any]]:
    with _opened().read() as connection:
        return [list(row) for row in connection.execute(text(statement))]


def wait_for(position: int, timeout: float = 30.0) -> None:
    _opened().wait_for(position, timeout=timeout)


def status() -> dict[str, Any]:
    now = _opened().status()
    return {
        "state": now.state.value,
        "reason": now.reason,
        "position": int(now.position),
        "version": now.version,
        "checksum": now.checksum,
        "epoch": now.epoch,
    }


def checksums() -> list[int]:
    """The recomputed checksum and the rolling one."""
    return list(_opened().verify_checksum())


def wait_not_leading(timeout: float = 30.0) -> str:
    deadline = time.monotonic() + timeout
    while _opened().status().state.value == "leading" and time.monotonic() < deadline:
        time.sleep(0.005)
    return _opened().status().state.value


def close() -> float:
    begin = time.monotonic()
    _opened().close()
    return time.monotonic() - begin


def start_writing(writers: int, first: int, acknowledged: str) -> None:
    """Inserts entries first, first + 1 ... as pairs of rows, one transaction each, until stopped.

    Each acknowledged number goes into the file `acknowledged` at once, which survives kill -9.
    """
    file = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    numbers = iter(range(first, 1 << 40))
    lock = threading.Lock()
    _stopping.clear()
    _bank.clear()

    def write() -> None:
        while not _stopping.is_set():
            with lock:
                number = next(numbers)
            try:
                with _opened().begin() as connection:
                    connection.execute(text("INSERT INTO pair VALUES (:n, 0)"), {"n": number})
                    connection.execute(text("INSERT INTO pair VALUES (:n, 1)"), {"n": number})
            except CommitOutcomeUnknown:
                _unknown.append(number)
                return
            except StoreError as error:
                _errors.append(type(error).__name__)
                return
            os.write(file, b"%d\n" % number)
            _acknowledged.append(number)

    for _ in range(writers):
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        _bank.append(thread)


def written() -> dict[str, Any]:
    return {"acknowledged": list(_acknowledged), "unknown": list(_unknown), "errors": list(_errors)}


def stop_writing() -> dict[str, Any]:
    _stopping.set()
    for thread in _bank:
        thread.join(30)
    return written()


def insert_with_token(token: str, statement: str) -> None:
    with _opened().begin(token=token) as connection:
        connection.execute(text(statement))


def outcome(token: str) -> str:
    return _opened().outcome(token).value


def start_tokens(writers: int, journal: str) -> None:
    """Inserts one row per token, until stopped or refused.

    Each token goes into the file `journal` before it is used, and again with `ok` once it was
    acknowledged; the file survives kill -9.
    """
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    _stopping.clear()

    def write() -> None:
        while not _stopping.is_set():
            token = new_token()
            os.write(file, f"{token} \n".encode())
            try:
                insert_with_token(token, f"INSERT INTO used VALUES ('{token}')")
            except StoreError:
                return
            os.write(file, f"{token} ok\n".encode())

    for _ in range(writers):
        threading.Thread(target=write, daemon=True).start()


def start_snapshot() -> None:
    """Takes one in the background, whatever becomes of it."""

    def take() -> None:
        with contextlib.suppress(StoreError):
            _opened().snapshot(timeout=120.0)

    threading.Thread(target=take, daemon=True).start()


def snapshot(timeout: float = 110.0) -> int:
    """Returns where it begins, after a look at what was reported on the way."""
    seen: list[tuple[str, int, int]] = []
    taken = _opened().snapshot(timeout=timeout, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("snapshot", taken.pages, taken.pages)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    return int(taken.position)


def snapshots() -> list[int]:
    return [int(each.position) for each in _opened().snapshots()]


def verify_snapshot(position: int) -> dict[str, Any]:
    proved = _opened().verify_snapshot(position, progress=lambda *_: None)
    return {"end": int(proved.end or 0), "pages": proved.pages, "bytes": proved.bytes}


def truncate(to: int) -> int:
    return int(_opened().truncate(to))


def log_beginning() -> int:
    return int(_opened().log.beginning())


def snapshot_status() -> dict[str, Any]:
    now = _opened().status().snapshot
    return {
        "state": now.state.value,
        "position": int(now.position),
        "writing": int(now.writing),
        "chunks": now.writing_chunks,
        "started_from": int(now.started_from),
    }
