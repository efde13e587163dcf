"""Programs that are modules of this package, and the launcher directory of an agent with two."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import aurora_store

_PROGRAM = """\
#!/bin/sh
# Written by aurora-store dev mesos.
exec {command} "$@"
"""


def write_launcher(directory: Path, libmesos: Path) -> None:
    """Writes ``mesos-containerizer`` and ``mesos-executor``, which are modules of this package.

    They run in this Python, and with the libmesos that the agent has.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "mesos-containerizer", command("containerizer", str(libmesos)))
    _write(directory / "mesos-executor", command("executor"))


def command(module: str, *arguments: str) -> list[str]:
    """The command line that calls the function ``main`` of a module here, in this Python."""
    root = str(Path(aurora_store.__file__).parents[1])
    # In place of the working directory, which may be a task's sandbox: not to be imported from.
    code = f"import sys; sys.path[0] = {root!r}; from aurora_store.dev.{module} import main; "
    return [sys.executable, "-c", f"{code}main{arguments!r}"]


def _write(path: Path, words: list[str]) -> None:
    path.write_text(_PROGRAM.format(command=shlex.join(words)))
    path.chmod(0o755)
