"""The control socket: who may ask, what comes back, and that nobody can hang or harm a store."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from memory_stores import MemoryEnsemble

from aurora_store import Store
from aurora_store.control import ControlServer, ask, client, wire
from aurora_store.control import server as server_module
from aurora_store.control.operations import OPERATIONS, Progress, operation, require_leader
from aurora_store.errors import (
    Corrupt,
    NotLeader,
    StoreError,
    StoreNotRunning,
    WaitTimeout,
    WriterBusy,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(autouse=True)
def _operations_of_a_test() -> Iterator[None]:
    before = dict(OPERATIONS)
    yield
    OPERATIONS.clear()
    OPERATIONS.update(before)


def _connect(directory: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(directory / wire.SOCKET_NAME))
    return connection


def test_a_store_answers_with_its_status(server: ControlServer, store: Store) -> None:
    answer = ask(store.log.directory, "status")
    assert (answer["host"], answer["state"]) == ("one:1", store.status().state.value)


def test_progress_comes_before_the_result(server: ControlServer, store: Store) -> None:
    @operation("count")
    def count(store: Store, arguments: Any, progress: Progress) -> dict[str, Any]:
        for number in range(arguments["to"]):
            progress("count", number, arguments["to"])
        return {"counted": arguments["to"]}

    seen: list[tuple[str, int, int]] = []
    answer = ask(store.log.directory, "count", {"to": 3}, progress=lambda *each: seen.append(each))
    assert answer == {"counted": 3}
    assert seen == [("count", 0, 3), ("count", 1, 3), ("count", 2, 3)]


@pytest.mark.parametrize(
    "error",
    [Corrupt("position 7: flipped"), WriterBusy("busy", hint="retry"), StoreError("plain")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_as_the_class_it_was_with_its_hint_and_exit_code(
    server: ControlServer, store: Store, error: StoreError
) -> None:
    @operation("fail")
    def fail(store: Store, arguments: Any, progress: Progress) -> dict[str, Any]:
        raise error

    with pytest.raises(type(error)) as raised:
        ask(store.log.directory, "fail")
    assert type(raised.value) is type(error)
    assert (raised.value.message, raised.value.hint) == (error.message, error.hint)
    assert raised.value.exit_code == error.exit_code


def test_what_was_not_expected_is_named_and_the_store_goes_on(
    server: ControlServer, store: Store
) -> None:
    @operation("fail")
    def fail(store: Store, arguments: Any, progress: Progress) -> dict[str, Any]:
        raise KeyError("missing")

    with pytest.raises(StoreError, match="KeyError"):
        ask(store.log.directory, "fail")
    assert ask(store.log.directory, "status")["host"] == "one:1"


def test_an_unknown_operation_is_answered_with_the_known_ones(
    server: ControlServer, store: Store
) -> None:
    with pytest.raises(StoreError, match="'dance'.*status"):
        ask(store.log.directory, "dance")


def test_what_only_a_leader_can_do_names_the_leader(
    ensemble: MemoryEnsemble, server: ControlServer, store: Store
) -> None:
    @operation("lead-only")
    def lead_only(store: Store, arguments: Any, progress: Progress) -> dict[str, Any]:
        require_leader(store, "truncate the log")
        return {}

    leader = ensemble.open("two:1")
    leader.lead()
    store.wait_for(leader.position)
    with pytest.raises(NotLeader) as refused:
        ask(store.log.directory, "lead-only")
    assert refused.value.hint is not None
    assert f"two:1 (instance {leader.instance})" in refused.value.hint
    store.lead()
    assert ask(store.log.directory, "lead-only") == {}


@pytest.mark.parametrize(
    "request_bytes",
    [b"\n", b"not json\n", b"[1]\n", b'{"operation": ["status"]}\n', b'{"arguments": 5}\n'],
)
def test_a_request_that_makes_no_sense_is_answered_with_an_error(
    server: ControlServer, store: Store, request_bytes: bytes
) -> None:
    with _connect(store.log.directory) as connection:
        connection.sendall(request_bytes)
        answer = json.loads(connection.makefile().readline())
    assert answer["type"] == "error" and answer["message"]


def test_a_request_without_an_end_is_cut_off(server: ControlServer, store: Store) -> None:
    with _connect(store.log.directory) as connection:
        with contextlib.suppress(OSError):
            for _ in range(40):
                connection.sendall(b"x" * (1 << 16))
        with contextlib.suppress(ConnectionResetError):  # it was closed with our bytes unread
            assert "at most" in json.loads(connection.makefile().readline())["message"]
    assert ask(store.log.directory, "status")["host"] == "one:1"


def test_somebody_who_connects_and_says_nothing_is_let_go(
    server: ControlServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_REQUEST_LIMIT_S", 0.2)
    with _connect(store.log.directory) as connection:
        assert "took too long" in json.loads(connection.makefile().readline())["message"]


def test_more_requests_than_places_are_told_so(
    server: ControlServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(_connect(store.log.directory))
        with pytest.raises(StoreError, match="under way"):
            ask(store.log.directory, "status")


def test_an_operation_ends_when_whoever_asked_has_gone(server: ControlServer, store: Store) -> None:
    ended = threading.Event()

    @operation("forever")
    def forever(store: Store, arguments: Any, progress: Progress) -> dict[str, Any]:
        try:
            while True:
                progress("wait", 0, 1)
                time.sleep(0.01)
        finally:
            ended.set()

    with _connect(store.log.directory) as connection:
        connection.sendall(b'{"operation": "forever"}\n')
        assert connection.recv(1)
    assert ended.wait(20)


def test_a_long_silent_operation_gives_signs_of_life(
    server: ControlServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "ALIVE_EVERY_S", 0.05)
    monkeypatch.setattr(client, "SILENCE_LIMIT_S", 1.0)

    @operation("slow")
    def slow(store: Store, arguments: Any, progress: Progress) -> dict[str, Any]:
        time.sleep(3.0)
        return {"done": True}

    assert ask(store.log.directory, "slow") == {"done": True}


def test_a_store_that_is_stopped_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SILENCE_LIMIT_S", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:  # it listens, and nobody answers
        silent.bind(str(tmp_path / wire.SOCKET_NAME))
        silent.listen()
        with pytest.raises(WaitTimeout, match="sign of life"):
            ask(tmp_path, "status")


# ---- the socket itself ----


def test_the_socket_is_its_owners_alone_from_its_birth(server: ControlServer, store: Store) -> None:
    mode = os.stat(store.log.directory / wire.SOCKET_NAME).st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_directory_deeper_than_a_sockets_address_works(store: Store, tmp_path: Path) -> None:
    store.log.directory = tmp_path / ("d" * 100) / ("e" * 100)
    store.log.directory.mkdir(parents=True)
    server = ControlServer(store)
    try:
        assert ask(store.log.directory, "status")["host"] == "one:1"
    finally:
        server.close()


def test_what_a_killed_process_left_behind_is_replaced(store: Store, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / wire.SOCKET_NAME))
    with pytest.raises(StoreNotRunning):
        ask(tmp_path, "status")
    server = ControlServer(store)
    try:
        assert ask(tmp_path, "status")["host"] == "one:1"
    finally:
        server.close()


def test_closing_removes_the_socket_but_not_somebody_elses(store: Store, tmp_path: Path) -> None:
    server = ControlServer(store)
    server.close()
    assert not (tmp_path / wire.SOCKET_NAME).exists()
    server = ControlServer(store)
    os.unlink(tmp_path / wire.SOCKET_NAME)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / wire.SOCKET_NAME))
        server.close()
        assert (tmp_path / wire.SOCKET_NAME).exists()


def test_a_file_in_its_place_is_left_alone_and_the_store_goes_on_uncontrolled(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / wire.SOCKET_NAME).write_text("precious")
    assert server_module.listen(store) is None
    assert "cannot be controlled" in caplog.text
    assert (tmp_path / wire.SOCKET_NAME).read_text() == "precious"


def test_a_directory_without_a_store_is_said_to_have_none(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreNotRunning, match="no store"):
            ask(directory, "status")


_AS_NOBODY = """
import os, socket, sys
from aurora_store.control import ask
from aurora_store.errors import StoreError
os.setgid(65534); os.setuid(65534)
try:
    ask(sys.argv[1], "status")
except StoreError as exc:
    print(exc)
"""


@as_root
@pytest.mark.parametrize(("mode", "words"), [(0o600, "owner"), (0o666, "another user")])
def test_another_user_is_refused_by_the_mode_and_by_the_kernels_word(
    server: ControlServer, store: Store, tmp_path: Path, mode: int, words: str
) -> None:
    for directory in (tmp_path, *tmp_path.parents):
        there = directory.stat().st_mode
        if there & 0o055 != 0o055:  # that of the temporary files is everybody's, and stays so
            os.chmod(directory, there | 0o055)
    os.chmod(tmp_path / wire.SOCKET_NAME, mode)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert words in done.stdout, done.stderr
