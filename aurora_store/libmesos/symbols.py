"""The symbols of libmesos that aurora-store needs, read from the lists the C++ binding uses."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_ENTRY = re.compile(r'^SYMBOL\((\w+), "(\w+)"\)$', re.MULTILINE)


@cache
def needed_symbols() -> dict[str, str]:
    """The mangled name of every needed symbol, by the short name the C++ binding gives it."""
    return _read("symbols.txt")


@cache
def compaction_symbols() -> dict[str, str]:
    """The same of those that compacting a log while it runs needs; a library may lack them."""
    return _read("leveldb_symbols.txt")


def _read(name: str) -> dict[str, str]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return dict(_ENTRY.findall(text))
