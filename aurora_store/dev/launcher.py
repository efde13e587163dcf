"""The launcher directory of an agent: the programs that it runs for each executor."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import aurora_store

_PROGRAM = """\
#!/bin/sh
# Written by aurora-store dev mesos.
exec {python} -c {code} "$@"
"""


def write_launcher(directory: Path, libmesos: Path) -> None:
    """Writes ``mesos-containerizer`` and ``mesos-executor``, which are modules of this package.

    They run in this Python, and with the libmesos that the agent has.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "mesos-containerizer", "containerizer", f"main({str(libmesos)!r})")
    _write(directory / "mesos-executor", "executor", "main()")


def _write(path: Path, module: str, call: str) -> None:
    root = str(Path(aurora_store.__file__).parents[1])
    # In place of the working directory, which is a task's sandbox and not to be imported from.
    code = f"import sys; sys.path[0] = {root!r}; from aurora_store.dev.{module} import main; {call}"
    path.write_text(_PROGRAM.format(python=shlex.quote(sys.executable), code=shlex.quote(code)))
    path.chmod(0o755)
