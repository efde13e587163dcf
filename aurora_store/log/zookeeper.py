"""ZooKeeper, looked at before libmesos is: it ends the process where rights are missing."""

from __future__ import annotations

import logging
import re
import socket
import uuid
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError, KazooException, NoAuthError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import CREATOR_ALL_ACL, READ_ACL_UNSAFE

from aurora_store.errors import LogUnavailable
from aurora_store.log.members import Peer, ZooKeeperAddress

_MEMBER = re.compile(r"(?:.*_)?\d+")


def make_client(address: ZooKeeperAddress, **options: Any) -> KazooClient:
    """A client that was not started yet, with the address's credentials.

    What it creates belongs to them alone and can be read by everybody; without credentials it
    belongs to everybody. kazoo's own log is left out: it would show the credentials.
    """
    quiet = logging.Logger("kazoo")
    quiet.addHandler(logging.NullHandler())
    if address.credentials is not None:
        options["auth_data"] = [("digest", address.credentials)]
        options["default_acl"] = [*CREATOR_ALL_ACL, *READ_ACL_UNSAFE]
    return KazooClient(hosts=address.connect_string, logger=quiet, **options)


def check_zookeeper(address: ZooKeeperAddress, *, timeout: float) -> None:
    """Makes sure that a replica may join its group, and that every member there can be understood.

    Raises:
        LogUnavailable: ZooKeeper cannot be reached within `timeout` seconds, rights are missing, or
            a member is not one.
    """
    client = make_client(address)
    try:
        client.start(timeout=timeout)
        _check_rights(client, address)
        _check_members(client, address)
    except KazooTimeoutError as exc:
        raise LogUnavailable(f"{address} cannot be reached within {timeout:g} s") from exc
    except (NoAuthError, AuthFailedError) as exc:
        who = (
            "these credentials have" if address.credentials else "somebody without credentials has"
        )
        raise LogUnavailable(
            f"{who} not the rights at {address}: reading and creating members",
            hint="zk://user:password@host:port/znode",
        ) from exc
    except KazooException as exc:
        raise LogUnavailable(f"{address} cannot be used: {exc!r}") from exc
    finally:
        client.stop()
        client.close()


def _check_rights(client: KazooClient, address: ZooKeeperAddress) -> None:
    # libmesos makes the path itself. An entry that is no number is no member to it.
    existing = address.znode
    while existing and not client.exists(existing):
        existing = existing.rpartition("/")[0]
    client.create(f"{existing}/check-{uuid.uuid4().hex}", ephemeral=True)


def _check_members(client: KazooClient, address: ZooKeeperAddress) -> None:
    try:
        names = client.get_children(address.znode)
    except NoNodeError:
        return
    for name in filter(_MEMBER.fullmatch, names):
        path = f"{address.znode}/{name}"
        try:
            data, _ = client.get(path)
        except NoNodeError:
            continue  # has left meanwhile
        try:
            peer = Peer.parse(data.decode())
            socket.getaddrinfo(peer.address.host, peer.address.port, socket.AF_INET)
        except (ValueError, OSError) as exc:
            raise LogUnavailable(
                f"{path} at {address} is not a member that can be reached: {exc};"
                " libmesos would end this process because of it",
                hint="remove that znode, or name another path",
            ) from exc
