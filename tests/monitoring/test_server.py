"""The monitoring server: health, status, who may ask, and requests that mean no good."""

from __future__ import annotations

import json
import re
import socket
import stat
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import Worker, WorkerError, free_ports, spawn
from monitored import Monitored, get, spawn_store, wait_health

from aurora_store.libmesos import fetch

_DOC = Path(__file__).parents[2] / "docs" / "monitoring.md"
_ENTRY_WORKER = Path(__file__).parents[1] / "store" / "entry_worker.py"
TOKEN = "a-token-that-is-not-a-secret"


def bytes_of(address: str, request: bytes, *, limit: float = 30.0) -> bytes:
    """What the server sends until it closes the connection."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=limit) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


# ---- health and status ----


def test_the_leader_is_healthy_and_a_standby_names_it(monitored: Monitored) -> None:
    monitored.lead(1)
    leader = get(monitored.monitors[1], "/healthz")
    assert leader.status_code == 200
    assert leader.json()["status"] == "leader"
    standby = get(monitored.monitors[0], "/healthz")
    assert standby.status_code == 503
    assert standby.json() == {
        "status": "standby",
        "reason": "",
        "leader": {"name": "green:8080", "address": "green:8080", "epoch": 1},
    }


def test_with_candidates_the_election_tells_who_leads(monitored: Monitored) -> None:
    for number in (0, 1):
        name = ("red", "green")[number]
        monitored.replicas[number].call("stand", name=name, address=f"{name}:8080")
        monitored.replicas[number].call("tell_of_candidate")
        if number == 0:
            monitored.replicas[0].call("wait_leading")
    standby = wait_health(monitored.monitors[1], 503)
    deadline = time.monotonic() + 30
    while standby["leader"] is None and time.monotonic() < deadline:
        standby = get(monitored.monitors[1], "/healthz").json()
    assert standby["leader"]["address"] == "red:8080"
    candidate = get(monitored.monitors[0], "/status").json()["candidate"]
    assert (candidate["name"], candidate["state"], candidate["reigns"]) == ("red", "leading", 1)


def test_nobody_is_named_before_the_first_leader(monitored: Monitored) -> None:
    answer = get(monitored.monitors[0], "/healthz")
    assert (answer.status_code, answer.json()["leader"]) == (503, None)


def test_a_replica_that_failed_is_an_error_with_its_reason(
    workers: ExitStack, tmp_path: Path
) -> None:
    writer = workers.enter_context(spawn(_ENTRY_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())}))
    writer.call("write_entries", directory=str(tmp_path / "log"), entries=[b"not ours".hex()])
    writer.finish()
    worker = spawn_store(workers, directory=str(tmp_path / "log"))
    body = wait_health(worker.call("serve"), 500)
    assert body["status"] == "failed"
    assert "position 1" in body["reason"]


def test_a_closed_store_is_an_error(single: Worker) -> None:
    address = single.call("serve")
    single.call("close")
    answer = get(address, "/healthz")
    assert (answer.status_code, answer.json()["status"]) == (500, "closed")


def test_a_replica_that_opens_and_gets_nowhere_becomes_an_error(
    workers: ExitStack, tmp_path: Path
) -> None:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    alone = spawn_store(
        workers,
        directory=str(tmp_path / "log"),
        address=addresses[0],
        peers=addresses,
        auto_initialize=True,
    )
    address = alone.call("serve")
    first = get(address, "/healthz")
    assert (first.status_code, first.json()["status"]) == (503, "opening")
    alone.call("give_up_opening_after", seconds=0.5)
    body = wait_health(address, 500)
    assert body["status"] == "opening"
    assert "position 0 for more than 0.5 s" in body["reason"]


def test_status_has_the_documented_fields(monitored: Monitored) -> None:
    monitored.lead(0)
    table = _DOC.read_text().partition("## Status")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \| [^|]+ \|$", table, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    for address in monitored.monitors:
        status = get(address, "/status").json()
        assert set(status) == documented
    leader, standby = (get(address, "/status").json() for address in monitored.monitors[:2])
    assert (leader["state"], standby["state"]) == ("leading", "standby")
    assert leader["checksum"] == standby["checksum"]
    assert len(leader["checksum"]) == 16
    assert leader["commit_latency"]["counts"][-1] == 0
    assert sum(leader["commit_latency"]["counts"]) == 3
    assert leader["last_minute"]["commit_latency"]["count"] == 3
    assert leader["last_minute"]["commit_latency"]["p99_s"] in leader["latency_bounds_s"]
    assert standby["last_minute"]["commit_latency"] == {"count": 0, "p50_s": None, "p99_s": None}


# ---- HTTP ----


def test_an_unknown_path_is_answered_with_those_that_there_are(shared: Worker) -> None:
    answer = get(shared.call("serve"), "/metric")
    assert answer.status_code == 404
    assert answer.json()["error"] == "Not Found: there are: /metrics, /healthz, /status"


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/status", "/unknown"])
def test_head_is_get_without_the_body(shared: Worker, path: str) -> None:
    address = shared.call("serve")
    got, head = get(address, path), get(address, path, "HEAD")
    assert head.status_code == got.status_code
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0
    assert head.content == b""


def test_nothing_can_be_posted(shared: Worker) -> None:
    answer = get(shared.call("serve"), "/status", "POST")
    assert answer.status_code == 501
    assert "error" in answer.json()


def test_a_collector_that_fails_is_an_error_and_not_silence(shared: Worker) -> None:
    address = shared.call("serve")
    shared.call("register", broken=True)
    answer = get(address, "/metrics")
    assert answer.status_code == 500
    assert "cannot be collected" in answer.json()["error"]
    assert get(address, "/status").status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /status HTTP/1.1\r\nX: " + b"x" * 20_000,
        b"GET /" + b"x" * 20_000,
        b"GET /status HTTP/1.1\r\n" + b"X: y\r\n" * 4000,
    ],
    ids=["header", "path", "headers"],
)
def test_a_request_that_is_too_large_is_refused(shared: Worker, request_bytes: bytes) -> None:
    answer = bytes_of(shared.call("serve"), request_bytes)
    assert answer.split()[1] == b"431"


def test_nonsense_is_refused(shared: Worker) -> None:
    answer = bytes_of(shared.call("serve"), b"\x16\x03\x01 hello there friend\r\n\r\n")
    assert b"400" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2] or answer)["error"]


def test_connections_that_say_nothing_keep_nobody_out_for_long(shared: Worker) -> None:
    address = shared.call("serve")
    host, port = address.split(":")
    with ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection((host, int(port)), timeout=30.0))
            for _ in range(40)
        ]
        begin = time.monotonic()
        slow = idle[0]
        # One that sends a byte now and then has no more time than the others.
        slow.sendall(b"G")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert shared.call("served_threads") <= 8
            try:
                slow.sendall(b"E")
                if slow.recv(1, socket.MSG_DONTWAIT) == b"":
                    break
            except BlockingIOError:
                time.sleep(0.2)
            except OSError:
                break
        assert time.monotonic() < deadline, "the slow connection was never closed"
        assert time.monotonic() - begin > 2, "it was not given the time that it may have"
        deadline = time.monotonic() + 60
        while get(address, "/healthz").status_code != 200:
            assert time.monotonic() < deadline
    assert shared.call("served_threads") <= 8


def test_one_request_too_many_is_told_so(shared: Worker) -> None:
    address = shared.call("serve")
    host, port = address.split(":")
    answer = b""
    deadline = time.monotonic() + 60
    # On a busy machine the places may be free again before the last request comes.
    while b" 503 " not in answer:
        assert time.monotonic() < deadline
        with ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(socket.create_connection((host, int(port)), timeout=30.0))
            answer = bytes_of(address, b"GET /status HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 503 Too many requests")
    assert wait_health(address, 200)["status"] == "leader"


# ---- who may ask ----


def test_by_default_only_this_machine_is_listened_to(shared: Worker) -> None:
    assert shared.call("serve").startswith("127.0.0.1:")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_any_other_address_needs_a_token(shared: Worker, address: str) -> None:
    with pytest.raises(WorkerError) as refused:
        shared.call("serve", address=address)
    assert refused.value.type == "ValueError"
    assert f"{address} can be reached from other machines" in refused.value.message
    assert "token" in refused.value.message
    shared.call("serve", address="0.0.0.0:0", token=TOKEN)


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/status", "/unknown"])
def test_with_a_token_nothing_is_told_without_it(shared: Worker, path: str) -> None:
    address = shared.call("serve", address="0.0.0.0:0", token=TOKEN)
    address = address.replace("0.0.0.0", "127.0.0.1")
    for headers in (
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer \xe9"},
    ):
        answer = get(address, path, **headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    allowed = get(address, path, Authorization=f"Bearer {TOKEN}")
    assert allowed.status_code == (404 if path == "/unknown" else 200)


def test_a_token_is_not_logged(single: Worker) -> None:
    address = single.call("serve", token=TOKEN)
    get(address, f"/status?token={TOKEN}", Authorization=f"Bearer {TOKEN}")
    get(address, f"/{TOKEN[:-1]}", Authorization=f"Bearer {TOKEN}x")
    single.finish()
    assert "/status" in single.stderr(), "requests are logged, but not this one"
    assert TOKEN not in single.stderr()


def test_a_token_can_be_in_a_file_that_others_cannot_read(shared: Worker, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    address = shared.call("serve", token_file=str(file))
    assert get(address, "/status").status_code == 401
    assert get(address, "/status", Authorization=f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_file_that_others_can_use_is_refused(
    shared: Worker, tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(mode)
    with pytest.raises(WorkerError) as refused:
        shared.call("serve", token_file=str(file))
    assert refused.value.type == "ValueError"
    assert f"chmod 600 {file}" in refused.value.message
    assert f"{stat.S_IMODE(file.stat().st_mode):04o}" in refused.value.message
    assert TOKEN not in refused.value.message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"token": "short"}, "16 to 512 visible"),
        ({"token": TOKEN, "token_file": "/dev/null"}, "not both"),
        ({"token_file": "/dev/null"}, "not a regular file"),
        ({"address": "nowhere"}, "not an address"),
        ({"address": "no-such-host.invalid:1"}, "no address of this machine"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    shared: Worker, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(WorkerError, match=words) as refused:
        shared.call("serve", **options)
    assert refused.value.type == "ValueError"
    assert "short" not in refused.value.message


def test_an_address_in_use_is_named(shared: Worker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(WorkerError, match=f"cannot listen on {address}") as refused:
            shared.call("serve", address=address)
    assert refused.value.type == "OSError"


def test_closing_frees_the_address_at_once_and_can_be_repeated(shared: Worker) -> None:
    address = shared.call("serve")
    get(address, "/status")
    shared.call("stop_serving")
    with pytest.raises(OSError):
        bytes_of(address, b"")
    assert shared.call("serve", address=address) == address
