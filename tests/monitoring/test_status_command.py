"""``aurora-store status``: what people look at."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from harness import free_ports
from monitored import NAMES, Monitored
from zookeeper_server import running_zookeeper

from aurora_store.cli.commands import main
from aurora_store.cli.status import _Elected, _rows
from aurora_store.monitoring import Look, Overview, Replica, look_at

TOKEN = "a-token-that-is-not-a-secret"


def run(*arguments: str) -> Result:
    """The command in this process, its output in a pipe."""
    return CliRunner().invoke(main, ["status", *arguments])


def rows(result: Result) -> dict[str, dict[str, str]]:
    """The printed table: replica -> column -> cell."""
    header, *lines = [line.split("\t") for line in result.stdout.splitlines()]
    return {line[0]: dict(zip(header, line, strict=True)) for line in lines}


def test_every_replica_is_shown_and_who_leads(monitored: Monitored) -> None:
    monitored.lead(1)
    result = run(*monitored.monitors)
    assert result.exit_code == 0, result.stderr
    shown = rows(result)
    assert list(shown) == [f"{name}:8080" for name in NAMES]
    assert [row["state"] for row in shown.values()] == ["standby", "leading", "standby"]
    assert {row["epoch"] for row in shown.values()} == {"1"}
    assert shown["green:8080"]["behind"] == "0"
    assert re.fullmatch(r"[\d.]+/[\d.]+ ms", shown["green:8080"]["commit p50/p99"])
    assert shown["red:8080"]["commit p50/p99"] == ""
    assert shown["red:8080"]["database"] == shown["green:8080"]["database"] == "8.19 kB"


def test_json_has_the_status_of_each(monitored: Monitored) -> None:
    monitored.lead(0)
    result = run("--json", *monitored.monitors)
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["leader"] == "red:8080"
    for replica, address in zip(answer["replicas"], monitored.monitors, strict=True):
        assert replica["address"] == address
        assert replica["problem"] is None
        assert replica["status"]["version"] == 3
        assert replica["behind"] in (0, 1)  # a heartbeat may be under way


def test_nobody_leads(monitored: Monitored) -> None:
    result = run(*monitored.monitors)
    assert result.exit_code == 31
    assert "Error: nobody of these leads" in result.stderr
    assert [row["state"] for row in rows(result).values()] == ["standby"] * 3


def test_a_standby_alone_says_who_leads(monitored: Monitored) -> None:
    monitored.lead(0)
    result = run(monitored.monitors[1])
    assert result.exit_code == 31
    assert "nobody of these leads, and red:8080 was heard of last as the leader" in result.stderr


def test_a_killed_replica_is_shown_with_the_reason(monitored: Monitored) -> None:
    monitored.lead(0)
    monitored.replicas[2].kill()
    result = run(*monitored.monitors)
    assert result.exit_code == 40
    address = monitored.monitors[2]
    assert rows(result)[address]["state"] == "unreachable: no connection: Connection refused"
    assert result.stderr.startswith(f"Error: red:8080 leads, but unreachable or failed: {address}")


def test_a_stopped_replica_does_not_hold_the_others_up(monitored: Monitored) -> None:
    monitored.lead(0)
    monitored.replicas[1].stop()
    result = run(*monitored.monitors)
    assert result.exit_code == 40
    assert rows(result)[monitored.monitors[1]]["state"] == "unreachable: no answer within 3 s"
    assert rows(result)["blue:8080"]["state"] == "standby"


def test_a_closed_store_is_not_well(monitored: Monitored) -> None:
    monitored.lead(0)
    monitored.replicas[1].call("close")
    result = run(*monitored.monitors)
    assert result.exit_code == 40
    assert rows(result)["green:8080"]["state"] == "closed"


def test_a_token_is_taken_from_a_file(workers: ExitStack, tmp_path: Path) -> None:
    monitored = Monitored(workers, tmp_path, token=TOKEN)
    monitored.lead(0)
    without = run(*monitored.monitors)
    assert without.exit_code == 31
    assert {row["state"] for row in rows(without).values()} == {"unreachable: it wants a token"}
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    refused = run("--token-file", str(file), *monitored.monitors)
    assert refused.exit_code == 2
    assert "chmod 600" in refused.stderr
    file.chmod(0o600)
    assert run("--token-file", str(file), *monitored.monitors).exit_code == 0
    file.write_text(f"{TOKEN}-of-another-time")
    other = run("--token-file", str(file), *monitored.monitors)
    for row in rows(other).values():
        assert row["state"] == "unreachable: it wants a token, or another one"


def test_the_replicas_of_an_election_are_found_in_zookeeper(
    monitored: Monitored, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_zookeeper(tmp_path_factory.mktemp("zookeeper")) as zookeeper:
        url = zookeeper.url("/election")
        for number, name in enumerate(NAMES):
            # The last one says nothing of its monitoring.
            metadata = {"monitoring": monitored.monitors[number]} if number < 2 else {}
            replica = monitored.replicas[number]
            replica.call("stand", name=name, zookeeper=url, metadata=metadata)
            replica.call("tell_of_candidate")
            if number == 0:
                replica.call("wait_leading")
        result = run("--zookeeper", url)
        assert result.exit_code == 40
        shown = rows(result)
        assert sorted(shown) == sorted(NAMES)
        assert shown["red"]["state"] == "leading"
        assert shown["green"]["state"] == "standby"
        assert shown["blue"]["state"].endswith("its metadata in the election has no 'monitoring'")


def test_watching_goes_on_when_zookeeper_does_not(
    monitored: Monitored,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules[_Elected.__module__], "_LOOK_UP_EVERY_S", 0.0)
    with running_zookeeper(tmp_path_factory.mktemp("zookeeper")) as zookeeper:
        url = zookeeper.url("/election")
        metadata = {"monitoring": monitored.monitors[0]}
        monitored.replicas[0].call("stand", name="red", zookeeper=url, metadata=metadata)
        watched = _Elected(url)
        before = watched()
        assert ([each.name for each in before], watched.problem) == (["red"], "")
        zookeeper.stop()
        assert watched() == before
        assert "these are the candidates last heard of" in watched.problem
        zookeeper.start()
        deadline = time.monotonic() + 60
        while watched.problem:
            assert time.monotonic() < deadline, watched.problem
            watched()


def test_zookeeper_that_cannot_be_reached_is_an_error() -> None:
    [port] = free_ports(1)
    result = run("--zookeeper", f"zk://127.0.0.1:{port}/election")
    assert result.exit_code == 30
    assert "cannot be reached" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the replicas' monitoring servers, or --zookeeper"),
        (["--zookeeper", "nowhere"], "is not of the form"),
        (["--interval", "0", "h:1"], "--interval"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


# ---- answers of others ----


@contextmanager
def answering(code: int, body: bytes, **headers: str) -> Iterator[str]:
    """A server that is no replica, and gives this one answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802  (named by http.server)
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [
        (200, b"<html>", "not the status of a replica"),
        (200, b"[]", "not the status of a replica"),
        (200, b'{"name": 7}', "not the status of a replica"),
        (200, b" " * (1 << 21), "more than 1048576 bytes"),
        (404, b"", "it answers 404 Not Found"),
        (302, b"", "it answers 302 Found"),
    ],
)
def test_what_is_no_replica_is_shown_as_such(code: int, body: bytes, words: str) -> None:
    with answering(code, body, Location="/other") as address:
        result = run(address)
    assert result.exit_code == 31
    assert words in rows(result)[address]["state"]


def test_an_answer_that_comes_byte_by_byte_has_no_more_time_than_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                for number in range(1000):
                    connection.sendall(b"X-%d: y\r\n" % number)
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        replica = Replica("slow", f"127.0.0.1:{server.getsockname()[1]}")
        overview = look_at([replica], timeout=0.5)
        assert overview.looks[0].problem == "no answer within 0.5 s"


def look(name: str, state: str, epoch: int, position: int, ending: int, reason: str = "") -> Look:
    """What a replica would say."""
    latency = {"count": 2, "p50_s": 0.002, "p99_s": None}
    status = {
        "name": name,
        "state": state,
        "reason": reason,
        "epoch": epoch,
        "position": position,
        "log_ending": ending,
        "database_bytes": 4096,
        "last_minute": {"append_latency": latency, "commit_latency": latency},
    }
    return Look(Replica(name, f"{name}:1"), status, "")


def test_of_two_that_believe_to_lead_the_newer_one_does() -> None:
    old, new = look("old", "leading", 3, 80, 80), look("new", "leading", 4, 90, 90)
    overview = Overview((old, new))
    assert overview.leader is new
    assert [cells[1] for cells in _rows(overview)] == [
        "leading: was replaced, and does not know it yet",
        "leading",
    ]
    assert (overview.behind(old), overview.behind(new)) == (10, 0)


def test_replicas_that_call_themselves_the_same_are_told_apart_by_their_addresses() -> None:
    same = look("vm", "leading", 3, 80, 80), look("vm", "standby", 3, 80, 80)
    one, other = (replace(each, replica=Replica("", f"h:{n}")) for n, each in enumerate(same))
    assert [cells[0] for cells in _rows(Overview((one, other)))] == ["vm (h:0)", "vm (h:1)"]


@pytest.mark.parametrize(
    ("state", "schema", "shown"),
    [
        ("standby", None, "standby"),
        ("standby", {"standing": "ahead", "failed": False}, "standby"),
        ("standby", {"standing": None, "failed": False}, "standby"),
        ("standby", {"standing": "too new", "failed": False}, "standby: schema too new"),
        (
            "standby",
            {"standing": "behind", "failed": True},
            "standby: schema behind: migration failed",
        ),
        ("leading", {"standing": "reverted", "failed": False}, "leading: schema reverted"),
    ],
)
def test_a_replica_that_does_not_fit_the_database_has_it_beside_its_state(
    state: str, schema: dict[str, Any] | None, shown: str
) -> None:
    said = look("one", state, 3, 80, 80)
    assert said.status is not None
    said.status["schema"] = schema
    said.status["candidate"] = None
    ((_, cell, *_),) = _rows(Overview((said,)))
    assert cell == shown


def test_without_a_leader_the_distance_is_to_the_end_that_anybody_knows() -> None:
    one, other = look("one", "standby", 3, 80, 95), look("other", "standby", 3, 90, 90)
    overview = Overview((one, other, Look(Replica("dead", "dead:1"), None, "no connection")))
    assert overview.leader is None
    assert [overview.behind(each) for each in overview.looks] == [15, 5, None]


def test_what_a_replica_says_cannot_disturb_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Overview((look("one", "failed", 3, 80, 95, "two\nlines\x1b[31m"),))
    monkeypatch.setattr("aurora_store.monitoring.look_at", lambda *_, **__: said)
    result = run("one:1")
    assert rows(result)["one"]["state"] == "failed: two lines [31m"
    assert rows(result)["one"]["commit p50/p99"] == "2/more ms"


# ---- watching ----


class Terminal:
    """A command on a terminal of 160 columns."""

    def __init__(self, *arguments: str) -> None:
        self._terminal, end_of_program = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aurora_store.cli", *arguments],
            stdin=end_of_program,
            stdout=end_of_program,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"},
        )
        os.close(end_of_program)
        self.written = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self.written += os.read(self._terminal, 65536).decode(errors="replace")
            except OSError:  # nobody has the terminal open any more
                return

    def wait_for(self, pattern: str, count: int = 1, after: int = 0) -> int:
        """Waits until the pattern was written so often; returns how much was written then."""
        deadline = time.monotonic() + 60
        while len(re.findall(pattern, self.written[after:])) < count:
            assert time.monotonic() < deadline, self.written[after:]
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        return len(self.written)

    def interrupt(self) -> tuple[int, str]:
        """As Ctrl-C; returns the exit code and what was written to standard error."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=60)
        self._reader.join(60)
        os.close(self._terminal)
        return self.process.returncode, errors


def test_watching_refreshes_in_place_and_follows_the_leader(monitored: Monitored) -> None:
    monitored.lead(0)
    terminal = Terminal("status", "--watch", "--interval", "0.2", *monitored.monitors)
    try:
        seen = terminal.wait_for(r"red:8080 +│ leading ", 3)
        # In place: each look goes back to where the one before began.
        assert len(re.findall(r"\x1b\[\d*A", terminal.written)) >= 2
        monitored.replicas[0].call("step_down")
        monitored.lead(1)
        seen = terminal.wait_for(r"green:8080 +│ leading ", 2, after=seen)
        monitored.replicas[2].kill()
        terminal.wait_for(r"unreachable: no connection", 2, after=seen)
        code, errors = terminal.interrupt()
    finally:
        terminal.process.kill()
        terminal.process.wait()
    assert code == 40, "the exit code is not that of the last look"
    assert "green:8080 leads, but" in errors
    assert "Traceback" not in errors
    assert terminal.written.rstrip().endswith("\x1b[?25h"), "the cursor stayed hidden"


def test_watching_in_a_pipe_is_one_json_document_a_line(monitored: Monitored) -> None:
    monitored.lead(0)
    command = [sys.executable, "-m", "aurora_store.cli", "status", "--watch", "--json"]
    with subprocess.Popen(
        [*command, "--interval", "0.1", *monitored.monitors], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for _ in range(3):
                assert json.loads(process.stdout.readline())["leader"] == "red:8080"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
