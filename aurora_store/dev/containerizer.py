"""``mesos-containerizer``: libmesos's own code, started by an agent for each executor."""

from __future__ import annotations

import sys

from aurora_store.native import c_text, call, ffi, lib


def main(libmesos: str) -> None:
    """Does what the arguments of this process say; does not return."""
    _, loaded = call(lib.aur_libmesos_load, c_text(libmesos))
    if loaded.status != lib.AUR_OK:
        sys.exit(loaded.reason)
    arguments = [c_text(argument) for argument in sys.argv[1:]]
    argv = ffi.new("char *[]", [*arguments, ffi.NULL])
    code, done = call(lib.aur_mesos_containerizer, len(arguments), argv)
    sys.exit(code if done.status == lib.AUR_OK else done.reason)
