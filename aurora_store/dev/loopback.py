"""Ports of the loopback address for processes that are started by others."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 10_000


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, at this moment.

    They are not of those that the system gives to connections and to whoever asks for any port, so
    that nobody takes one by chance before it is used; unless it leaves hardly any others.
    """
    last = int(_RANGE.read_text().split()[0])
    enough = last - _FIRST > 100 * count
    candidates = random.sample(range(_FIRST, last), 50 * count) if enough else [0] * count
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in candidates:
            if len(found) < count:
                each = stack.enter_context(socket.socket())
                with contextlib.suppress(OSError):
                    each.bind(("127.0.0.1", port))
                    found.append(each.getsockname()[1])
    if len(found) < count:
        raise OSError(f"no {count} ports of 127.0.0.1 are free")
    return found
