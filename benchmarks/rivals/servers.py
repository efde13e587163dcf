"""Servers of other systems, which end with the benchmark."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_START_S = 30.0
_RUN_S = 300.0
_STOP_S = 10.0


def serve(
    stack: contextlib.ExitStack,
    command: Sequence[str],
    directory: Path,
    name: str,
    *,
    as_user: Sequence[str] = (),
) -> None:
    """Starts a server; leaving the `stack` ends it, and so does the death of this process.

    What it has to say is in a file. `as_user` is the beginning of a command that changes the user.
    """
    output = stack.enter_context((directory / f"{name}.log").open("wb"))
    # Last, since the kernel forgets the signal when the user changes.
    tied = ["setpriv", "--pdeathsig=INT", *command]
    server = subprocess.Popen(
        [*as_user, *tied],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for the benchmark, which then ends it
    )
    stack.callback(_end, server)


def run(command: Sequence[str], directory: Path, **environment: str) -> str:
    """Runs a command to its end and returns what it printed.

    Raises:
        RuntimeError: it failed, with its last line; or it does not end.
    """
    try:
        ended = subprocess.run(
            command,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_RUN_S,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(str(error)) from None
    if ended.returncode != 0:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:] or ["no word of why"]
        raise RuntimeError(f"{Path(command[0]).name} failed: {last[0]}")
    return ended.stdout


def wait_until(ready: Callable[[], bool], what: str) -> None:
    """Asks again and again.

    Raises:
        RuntimeError: `what` did not come about in time.
    """
    limit = time.monotonic() + _START_S
    while not ready():
        if time.monotonic() > limit:
            raise RuntimeError(f"{what} did not come about within {_START_S:g} s")
        time.sleep(0.05)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # PostgreSQL would wait for its clients on SIGTERM
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
