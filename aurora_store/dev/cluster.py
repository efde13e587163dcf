"""The process that a `MesosCluster` consists of.

libmesos allows one cluster per process, cannot stop it, and ends the process where it cannot go on.
So it has a process of its own, which ends with whoever started it: when its standard input is
closed, it kills all that runs below it and exits. It prints one line of JSON: ``{"master":
"ip:port"}`` when the master listens, or ``{"error": ..., "name": ..., "hint": ...}``. Its options
are one JSON object, too.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn, TextIO

from aurora_store.dev.launcher import write_launcher
from aurora_store.dev.processes import adopt_orphans, kill_descendants
from aurora_store.errors import LibmesosNotFound, LogUnavailable, StoreError
from aurora_store.libmesos import find
from aurora_store.log import runtime
from aurora_store.log.members import Address
from aurora_store.native import c_text, call, lib

LOG_NAME = "mesos.log"

# The stock number of libprocess: a master and agents wait for each other.
_WORKER_THREADS = 8

# Said for each role by local mode itself, or by `_start`: another value would clash.
_OURS = ("MESOS_WORK_DIR", "MESOS_IP", "MESOS_PORT", "MESOS_RUNTIME_DIR")

_FLAGS = {
    "MESOS_REGISTRY": "in_memory",
    "MESOS_LAUNCHER": "posix",
    "MESOS_ISOLATION": "posix/cpu,posix/mem",
    "MESOS_CONTAINERIZERS": "mesos",
    "MESOS_SYSTEMD_ENABLE_SUPPORT": "false",
    "MESOS_SWITCH_USER": "false",
}


def main() -> None:
    """Runs until standard input ends, or SIGTERM."""
    options = json.loads(sys.argv[1])
    answer = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # nothing else may print there
    adopt_orphans()
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda _number, _frame: _end())
    directory = Path(options["directory"])
    try:
        with _locked(directory):
            address = _start(directory, options)
            answer.write(json.dumps({"master": address}) + "\n")
            while True:
                signal.pause()
    except StoreError as exc:
        error = {"error": exc.message, "name": type(exc).__name__, "hint": exc.hint}
        answer.write(json.dumps(error) + "\n")
        sys.exit(exc.exit_code)


def _locked(directory: Path) -> TextIO:
    lock = (directory / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(
            f"another Mesos cluster runs in {directory}", hint="stop it, or name another directory"
        ) from None
    return lock


def _start(directory: Path, options: dict[str, Any]) -> str:
    libmesos = find(options["libmesos"]).path
    write_launcher(directory / "launcher", libmesos)
    for name in _OURS:
        os.environ.pop(name, None)
    for name, value in _FLAGS.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MESOS_HOSTNAME", options["address"])
    os.environ["MESOS_RESOURCES"] = options["resources"]
    os.environ["MESOS_LAUNCHER_DIR"] = str(directory / "launcher")
    _log_to(directory / LOG_NAME)
    try:
        address = runtime.start(
            Address(options["address"], options["port"]),
            libmesos=libmesos,
            worker_threads=_WORKER_THREADS,
            delegate="master",
        )
    except LogUnavailable as exc:
        raise StoreError(
            f"the Mesos master cannot start: {exc.message}", hint="port 0 takes any free one"
        ) from exc
    _, launched = call(lib.aur_mesos_launch, c_text(str(directory / "work")), options["agents"])
    if launched.status != lib.AUR_OK:
        raise LibmesosNotFound(
            f"{libmesos}: {launched.reason}",
            hint="aurora-store libmesos fetch, and name no other library",
        )
    return address


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    runtime.logger.addHandler(handler)
    runtime.logger.setLevel(logging.INFO)


def _end_with_standard_input() -> None:
    while os.read(0, 4096):
        pass
    _end()


def _end() -> NoReturn:
    kill_descendants(os.getpid())
    os._exit(0)
