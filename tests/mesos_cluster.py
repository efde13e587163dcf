"""A real Mesos for tests: a master and agents, out of the libmesos that the log uses."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from harness import LIMIT

from aurora_store.dev import MesosCluster
from aurora_store.libmesos import fetch

# Resources come back a second after a task's end, unless said otherwise.
_FLAGS = {"MESOS_ALLOCATION_INTERVAL": "50ms"}


@contextmanager
def mesos_cluster(
    agents: int = 1, *, directory: Path | None = None, flags: dict[str, str] | None = None
) -> Iterator[MesosCluster]:
    """A cluster that runs while the block does, with nothing of it left afterwards.

    `flags` are ``MESOS_*`` variables of its master and agents, valid for its first start.
    """
    with clean_environment(_FLAGS | (flags or {})):
        cluster = MesosCluster(agents, directory=directory, libmesos=fetch())
        cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def clean_environment(variables: dict[str, str]) -> Iterator[None]:
    """No variables of Mesos, whatever the machine that tests run on has, but these."""
    with mock.patch.dict(os.environ, variables):
        for name in list(os.environ):
            if name.startswith(("MESOS_", "LIBPROCESS_")) and name not in variables:
                del os.environ[name]
        yield


def living(processes: Iterable[int]) -> set[int]:
    """Those that run. One that ended and that nobody has waited for yet does not."""
    return {each for each in processes if _state(each) not in ("", "Z", "X")}


def wait_gone(*processes: int) -> None:
    """Until none of them runs."""
    end = time.monotonic() + LIMIT
    while alive := living(processes):
        assert time.monotonic() < end, f"these live on: {alive}"
        time.sleep(0.01)


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
