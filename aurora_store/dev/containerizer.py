"""``mesos-containerizer``: libmesos's own code, started by an agent for each executor."""

from __future__ import annotations

import json
import os
import sys

from aurora_store.native import c_text, call, ffi, lib


def main(libmesos: str) -> None:
    """Does what the arguments and the environment of this process say; does not return."""
    _redirect(json.loads(os.environ["MESOS_CONTAINERIZER_LAUNCH_INFO"])["working_directory"])
    _, loaded = call(lib.aur_libmesos_load, c_text(libmesos))
    if loaded.status != lib.AUR_OK:
        sys.exit(loaded.reason)
    arguments = [c_text(argument) for argument in sys.argv[1:]]
    argv = ffi.new("char *[]", [*arguments, ffi.NULL])
    code, done = call(lib.aur_mesos_containerizer, len(arguments), argv)
    sys.exit(code if done.status == lib.AUR_OK else done.reason)


def _redirect(sandbox: str) -> None:
    """Standard streams as an agent gives them; one that shares a process with its master does not.

    It has made the two files already.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    for number, path, how in (
        (0, os.devnull, os.O_RDONLY),
        (1, os.path.join(sandbox, "stdout"), flags),
        (2, os.path.join(sandbox, "stderr"), flags),
    ):
        opened = os.open(path, how, 0o644)
        os.dup2(opened, number)
        os.close(opened)
