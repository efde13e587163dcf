"""How errors leave the command line: the one place.

A `StoreError` is shown as ``Error: ...`` and ``Try: ...`` and ends the command with the exit code
of its class. Anything unexpected is one line and exit code 1; ``AURORA_STORE_DEBUG=1`` adds the
traceback. With ``--json`` an error is one JSON object on stderr: ``type`` (``error``), ``code``
(the exit code), ``name`` (the kind of error), ``message`` and ``hint`` (or null).
"""

from __future__ import annotations

import errno
import json
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from aurora_store.errors import StoreError

_AS_JSON = "aurora_store.cli.json"
_INTERRUPTED = 130


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
    except KeyboardInterrupt:
        _leave(_INTERRUPTED, "Interrupted", "interrupted", None, as_json)
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno == errno.EPIPE:
            raise  # the reader of our output has gone: click ends quietly
        _debug()
        message = f"unexpected {type(exc).__name__}: {exc}"
        hint = "set AURORA_STORE_DEBUG=1 for the traceback"
        _leave(1, type(exc).__name__, message, hint, as_json)


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
