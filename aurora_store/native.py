"""The one module that imports the compiled part, and turns its outcomes into Python values.

Everything else in the package speaks to C through here, so that no other module needs to know how
an outcome or a text crosses the boundary.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

try:
    from aurora_store._native import ffi, lib
except ImportError as exc:
    raise ImportError(
        "the native part of aurora-store is not built or does not fit this Python; build it with:"
        " pip install --force-reinstall aurora-store (it needs a C++17 compiler)"
    ) from exc

__all__ = ["Outcome", "c_text", "call", "extension_path", "ffi", "lib", "text"]


class Outcome(NamedTuple):
    """What became of a native call: `status` is zero, or one of the ``AUR_*`` constants."""

    status: int
    position: int
    reason: str


def text(value: Any) -> str:
    """A zero-terminated UTF-8 text of the native part."""
    return bytes(ffi.string(value)).decode("utf-8", "replace")


def c_text(value: str | None) -> Any:
    """A text for the native part: ``NULL`` for ``None``. Keep it alive as long as it is used."""
    return ffi.NULL if value is None else ffi.new("char[]", value.encode())


def call(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Outcome]:
    """Calls a native function whose last parameter is the outcome; returns its result too."""
    outcome = ffi.new("aur_outcome *")
    result = function(*arguments, outcome)
    return result, Outcome(outcome.status, outcome.position, text(outcome.reason))


def extension_path() -> str:
    """The file of the compiled part: loaded by SQLite as an extension, it registers the VFS."""
    return str(sys.modules["aurora_store._native"].__file__)
