"""The processes below a process: finding them all, and ending them all."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIMIT_S = 10.0
_BURY_AFTER_S = 10.0


def adopt_orphans() -> None:
    """From now on this process, not init, is the parent of descendants whose own parent ended.

    So that `kill_descendants` finds those too which detached themselves.
    """
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    threading.Thread(target=_bury_orphans, daemon=True).start()


def end_with_parent() -> None:
    """From now on this process gets SIGKILL when the thread that started it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _bury_orphans() -> None:
    # Whoever started a child waits for it, and looks at least once a second. One that stays dead
    # for longer was adopted, and nobody waits for it.
    dead: set[int] = set()
    while True:
        time.sleep(_BURY_AFTER_S)
        now_dead = {each.pid for each in _processes() if each.parent == os.getpid() and each.dead}
        for process in dead & now_dead:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process, os.WNOHANG)
        dead = now_dead - dead


class _Process(NamedTuple):
    pid: int
    parent: int
    dead: bool


def _processes() -> Iterator[_Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has gone meanwhile
                # pid (name) state parent ...: the name may hold anything, even brackets.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                yield _Process(int(entry.name), int(parent), state in "ZX")


def descendants(root: int) -> list[int]:
    """All live processes below `root`, parents before their children."""
    children = defaultdict(list)
    for process in _processes():
        if not process.dead:
            children[process.parent].append(process.pid)
    found = [root]
    for pid in found:  # grows on the way
        found.extend(children[pid])
    return found[1:]


def kill_descendants(root: int) -> None:
    """Ends every process below `root`, with SIGKILL, and returns when none of them lives.

    Each is stopped before any is killed: one that is stopped starts no others, and its children
    stay its children, so none gets away. `root` itself should start no more either.
    """
    end = time.monotonic() + _LIMIT_S
    while time.monotonic() < end:
        stopped: set[int] = set()
        while found := set(descendants(root)) - stopped:
            _signal(found, signal.SIGSTOP)
            stopped |= found
        if not stopped:
            return
        _signal(stopped, signal.SIGKILL)
        time.sleep(0.01)


def kill_tree(root: int) -> None:
    """Ends `root` and every process below it, with SIGKILL."""
    _signal({root}, signal.SIGSTOP)
    kill_descendants(root)
    _signal({root}, signal.SIGKILL)


def _signal(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
