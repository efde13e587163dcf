"""Where a fetched libmesos lives: one directory per version under the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

VERSION = "1.11.0"
"""The version of the official build that `fetch` brings."""

LIBRARY_NAME = "libmesos.so"


def cache_root() -> Path:
    """The cache directory of aurora-store.

    ``AURORA_STORE_CACHE`` if set, else ``aurora-store`` under the XDG cache directory.
    """
    override = os.environ.get("AURORA_STORE_CACHE")
    if override:
        return Path(override).expanduser().absolute()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification tells applications to ignore a relative path here.
    base = Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache"
    return base / "aurora-store"


def fetched_directory() -> Path:
    """The directory that `fetch` fills; it exists only when it is complete."""
    return cache_root() / "libmesos" / VERSION


def fetched_library() -> Path:
    """The library in `fetched_directory`, whether it was fetched yet or not."""
    return fetched_directory() / LIBRARY_NAME
