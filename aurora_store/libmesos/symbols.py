"""The symbols of libmesos that aurora-store needs, read from the list the C++ binding uses."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_ENTRY = re.compile(r'^SYMBOL\((\w+), "(\w+)"\)$', re.MULTILINE)


@cache
def needed_symbols() -> dict[str, str]:
    """The mangled name of every needed symbol, by the short name the C++ binding gives it."""
    text = resources.files(__package__).joinpath("symbols.txt").read_text(encoding="utf-8")
    return dict(_ENTRY.findall(text))
