"""A real ZooKeeper server for tests, as the distribution packages it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aurora_store.dev import ZooKeeperServer
from aurora_store.errors import StoreError

__all__ = ["ZooKeeperServer", "running_zookeeper"]


@contextmanager
def running_zookeeper(directory: Path) -> Iterator[ZooKeeperServer]:
    """A server with its data in `directory`. Skips the test where ZooKeeper is not installed."""
    server = ZooKeeperServer(directory)
    try:
        server.start()
    except StoreError as exc:
        if exc.hint is None:  # it is installed and does not start
            raise
        pytest.skip(exc.message)
    try:
        yield server
    finally:
        server.stop()
