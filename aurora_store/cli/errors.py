"""How errors leave the command line: the one place.

A `StoreError` is shown as ``Error: ...`` and ``Try: ...`` and ends the command with the exit code
of its class. What the operating system refuses is an ordinary failure: the file and the reason,
exit code 1. Anything unexpected is one line and exit code 1. ``AURORA_STORE_DEBUG=1`` adds the
traceback. With ``--json`` an error is one JSON object on stderr: ``type`` (``error``), ``code``
(the exit code), ``name`` (the kind of error), ``message`` and ``hint`` (or null).
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click

from aurora_store.errors import StoreError

_AS_JSON = "aurora_store.cli.json"
_INTERRUPTED = 130


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, where it is not plain what has become of the command by then."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = f"interrupted: {message}"
        self.hint = hint


class RenderingGroup(click.Group):
    """A click group whose commands may raise anything: it is rendered, never a bare traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the group's own options; click's contract."""
        # Looked up before parsing, so that even a wrong usage is answered in the wanted form.
        ctx.meta[_AS_JSON] = "--json" in args
        with _rendered(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; click's contract."""
        with _rendered(ctx):
            return super().invoke(ctx)


@contextmanager
def _rendered(ctx: click.Context) -> Iterator[None]:
    as_json = ctx.meta[_AS_JSON]
    try:
        yield
    except (click.exceptions.Exit, click.Abort):
        raise
    except click.ClickException as exc:
        # click shows the usage beside the message, which is worth keeping for people.
        if not as_json:
            raise
        _leave(exc.exit_code, type(exc).__name__, exc.format_message(), None, as_json)
    except StoreError as exc:
        _debug()
        _leave(exc.exit_code, type(exc).__name__, exc.message, exc.hint, as_json)
    except Interrupted as exc:
        _leave(_INTERRUPTED, "Interrupted", exc.message, exc.hint, as_json)
    except KeyboardInterrupt:
        _leave(_INTERRUPTED, "Interrupted", "interrupted", None, as_json)
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno == errno.EPIPE:
            raise  # the reader of our output has gone: click ends quietly
        _debug()
        if isinstance(exc, OSError) and exc.errno is not None:
            _leave(1, type(exc).__name__, *_refused(exc), as_json)
        message = f"unexpected {type(exc).__name__}: {exc}"
        hint = "set AURORA_STORE_DEBUG=1 for the traceback"
        _leave(1, type(exc).__name__, message, hint, as_json)


def _refused(exc: OSError) -> tuple[str, str | None]:
    """What the operating system refuses, and what to try."""
    reason = exc.strerror or str(exc)
    if exc.filename is None:
        if _from_output(exc):
            _drop_output()
            return f"standard output: {reason}", "send it somewhere else"
        return reason, None
    if not isinstance(exc.filename, str | bytes | os.PathLike):  # the number of an open file
        return f"{exc.filename}: {reason}", None
    path = os.path.abspath(os.fsdecode(exc.filename))
    folder = os.path.dirname(path)
    hints = {
        errno.ENOENT: f"see whether its folder is there: ls -ld {folder}",
        errno.ENOTDIR: f"see whether its folder is one: ls -ld {folder}",
        errno.EACCES: f"run it as a user who may use {folder}, or name another place",
        errno.EPERM: f"run it as a user who may use {folder}, or name another place",
        errno.EROFS: "name a place that can be written",
        errno.ENOSPC: f"free some space, or name another place: df -h {folder}",
        errno.EDQUOT: f"free some space, or name another place: df -h {folder}",
    }
    return f"{path}: {reason}", hints.get(exc.errno or 0)


def _from_output(exc: OSError) -> bool:
    """Whether it is standard output that takes nothing more: all of it goes through click."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == "click.utils"


def _drop_output() -> None:
    """Python shall not try again at its end: that would change the exit code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _debug() -> None:
    if os.environ.get("AURORA_STORE_DEBUG") == "1":
        traceback.print_exc()


def _leave(code: int, name: str, message: str, hint: str | None, as_json: bool) -> NoReturn:
    if as_json:
        answer = {"type": "error", "code": code, "name": name, "message": message, "hint": hint}
        click.echo(json.dumps(answer), err=True)
    else:
        click.echo(f"Error: {message}", err=True)
        if hint:
            click.echo(f"Try: {hint}", err=True)
    raise click.exceptions.Exit(code)
