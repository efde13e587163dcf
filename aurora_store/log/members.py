"""How the replicas of a log find each other: addresses, a static list of them, or ZooKeeper.

Parsing only; nothing here opens a connection (`zookeeper.py` does).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_FIRST_REPLICA = "log-replica(1)"
_PID = re.compile(r"(?:(?P<name>log-replica\(\d+\))@)?(?P<host>[^@:,\s/]+):(?P<port>\d+)")
_ZOOKEEPER = re.compile(
    r"zk://(?:(?P<credentials>[^@/]*)@)?(?P<servers>[^/@]+)(?P<znode>/.*)?", re.DOTALL
)
_ZOOKEEPER_FORM = "zk://[user:password@]host:port,host:port/znode"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """``host:port``; the port may be 0 (any free one) where something listens."""
        host, colon, port = text.rpartition(":")
        if not (host and colon and port.isascii() and port.isdigit() and int(port) < 2**16):
            raise ValueError(f"{text!r} is not an address like 10.0.0.1:5050")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Peer:
    """A replica of a log: the first log that a process opens is ``log-replica(1)``."""

    address: Address
    name: str = _FIRST_REPLICA

    @classmethod
    def parse(cls, text: str) -> Peer:
        """``host:port`` or ``log-replica(1)@host:port``."""
        match = _PID.fullmatch(text.strip())
        if match is None or not 0 < int(match["port"]) < 2**16:
            raise ValueError(
                f"peer {text!r} is neither like 10.0.0.1:5050 nor like log-replica(1)@10.0.0.1:5050"
            )
        address = Address(match["host"], int(match["port"]))
        return cls(address, match["name"] or _FIRST_REPLICA)

    def __str__(self) -> str:
        return f"{self.name}@{self.address}"


@dataclass(frozen=True, slots=True)
class ZooKeeperAddress:
    """Where the replicas of a log meet in ZooKeeper."""

    servers: tuple[Address, ...]
    znode: str
    credentials: str | None = field(default=None, repr=False)
    """``user:password`` for digest authentication."""

    @classmethod
    def parse(cls, text: str) -> ZooKeeperAddress:
        """``zk://[user:password@]host:port,host:port/znode``"""
        match = _ZOOKEEPER.fullmatch(text)
        if match is None:
            raise ValueError(f"{_redacted(text)!r} is not of the form {_ZOOKEEPER_FORM}")
        credentials: str | None = match["credentials"]
        if credentials is not None and not re.fullmatch(r"[^:]+:.+", credentials):
            raise ValueError(f"the credentials in {_redacted(text)!r} are not user:password")
        znode = match["znode"] or ""
        if not re.fullmatch(r"(/[^/\s]+)+", znode) or {".", ".."} & set(znode.split("/")):
            raise ValueError(
                f"{_redacted(text)!r} needs a path of a znode at its end, as in {_ZOOKEEPER_FORM}"
            )
        servers = tuple(Address.parse(server) for server in match["servers"].split(","))
        if any(server.port == 0 for server in servers):
            raise ValueError(f"{_redacted(text)!r} names a server with port 0")
        return cls(servers, znode, credentials)

    @property
    def connect_string(self) -> str:
        """The servers, as clients of ZooKeeper take them."""
        return ",".join(map(str, self.servers))

    def __str__(self) -> str:
        return f"zk://{'...@' if self.credentials else ''}{self.connect_string}{self.znode}"


def _redacted(text: str) -> str:
    return re.sub(r"//[^@]*@", "//...@", text)


def quorum_of(peers: Iterable[Peer], own: Address, quorum: int | None) -> int:
    """The quorum of a static set of members, which must be an odd number including this replica.

    Raises:
        ValueError: it is an even number, or `quorum` does not fit it.
    """
    members = {peer.address for peer in peers} | {own}
    if len(members) % 2 == 0:
        raise ValueError(
            f"a log needs an odd number of replicas; {len(members)} were named:"
            f" {', '.join(sorted(map(str, members)))}"
        )
    fitting = len(members) // 2 + 1
    if quorum not in (None, fitting):
        raise ValueError(f"quorum {quorum} does not fit {len(members)} replicas: use {fitting}")
    return fitting
