"""The command line: one command, ``aurora-store``, one module per group of subcommands.

A group is a click group in a module of its own, added to the command in `commands`. What every
command gets from here: errors as one text or one JSON object on stderr with the exit code of their
class (`errors`), tables and progress that suit a terminal or a pipe (`output`).
"""

from __future__ import annotations

import sys


def main() -> None:
    """Runs ``aurora-store`` with the arguments of the process, and ends the process."""
    try:
        # Late: importing takes a tenth of a second, in which Ctrl-C is an interrupt as well.
        from aurora_store.cli.commands import main as command

        command(prog_name="aurora-store")
    except KeyboardInterrupt:
        print(_INTERRUPTED_JSON if "--json" in sys.argv else _INTERRUPTED, file=sys.stderr)
        sys.exit(130)


_INTERRUPTED = "Error: interrupted"  # as `errors` says it, which may not be imported yet
_INTERRUPTED_JSON = (
    '{"type": "error", "code": 130, "name": "Interrupted", "message": "interrupted", "hint": null}'
)
