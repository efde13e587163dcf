"""etcd: three nodes, puts of 256 bytes to the leader by h2load, an HTTP/2 load generator in C."""

from __future__ import annotations

import contextlib
import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.processes import free_addresses
from benchmarks.rivals.servers import run, serve, wait_until
from benchmarks.threads import Taken

_KEY, _VALUE = b"task", bytes(range(256))


def missing() -> str:
    """What to install; empty if it is there."""
    if shutil.which("etcd") and shutil.which("h2load"):
        return ""
    return "apt-get install etcd-server nghttp2-client"


def start(directory: Path, stack: contextlib.ExitStack) -> list[Any]:
    """Starts the nodes and waits until they have a leader."""
    clients = [f"http://{address}" for address in free_addresses(3)]
    peers = [f"http://{address}" for address in free_addresses(3)]
    members = ",".join(f"n{number}={peer}" for number, peer in enumerate(peers))
    for number, (client, peer) in enumerate(zip(clients, peers, strict=True)):
        command = ["etcd", "--name", f"n{number}", "--data-dir", f"data{number}"]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", members, "--logger", "zap", "--log-level", "error"]
        serve(stack, command, directory, f"n{number}")
    wait_until(lambda: all(map(_has_leader, clients)), "an etcd cluster")
    return [_Puts(directory, clients)]


class _Puts:
    system = "etcd"
    client = "h2load (C)"
    operation = "put of 256 bytes"

    def __init__(self, directory: Path, nodes: list[str]) -> None:
        self._directory, self._nodes = directory, nodes
        message = b"\n%c%b\x12\x80\x02%b" % (len(_KEY), _KEY, _VALUE)  # a PutRequest
        (directory / "body").write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)

    def write_for(self, seconds: float, writers: int) -> Taken:
        """Each writer is a connection with one request at a time."""
        leader = next((node for node in self._nodes if _leads(node)), None)
        if leader is None:
            raise RuntimeError("etcd has no leader")
        before = _status(leader)["revision"]
        command = f"h2load -D {round(seconds * 1000)}ms -c {writers} -m 1 -d body".split()
        command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        log = self._directory / "requests"
        log.unlink(missing_ok=True)
        run([*command, f"--log-file={log}", f"{leader}/etcdserverpb.KV/Put"], self._directory)
        lines = [line.split("\t") for line in log.read_text().splitlines()]
        spans = [(int(start), int(taken)) for start, code, taken in lines if code == "200"]
        if not spans:
            raise RuntimeError("no put was answered")
        durations = [taken / 1e6 for _, taken in spans]
        elapsed = (max(map(sum, spans)) - min(start for start, _ in spans)) / 1e6
        put = _status(leader)["revision"] - before
        if put < len(durations):  # the status of a gRPC call is in its trailer
            raise RuntimeError(f"etcd put {put} times, not {len(durations)}")
        return durations, elapsed


def _has_leader(node: str) -> bool:
    try:
        return _status(node)["leader"] != 0
    except OSError:
        return False


def _leads(node: str) -> bool:
    status = _status(node)
    return status["leader"] == status["member"]


def _status(node: str) -> dict[str, int]:
    request = urllib.request.Request(f"{node}/v3/maintenance/status", data=b"{}")
    with urllib.request.urlopen(request, timeout=5.0) as answer:
        status = json.load(answer)
    return {
        "member": int(status["header"]["member_id"]),
        "revision": int(status["header"]["revision"]),
        "leader": int(status.get("leader", 0)),
    }
