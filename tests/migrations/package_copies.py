"""Releases of the software: this one, and later ones that are made of it."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aurora_store
from aurora_store import events, models
from aurora_store.migrations import Schema

__all__ = ["EVENTS_HEAD", "MODEL_HEAD", "Release", "later_release", "this_release"]

_FUTURE: Final = Path(__file__).with_name("future")
_PACKAGE: Final = Path(aurora_store.__file__).parent
EVENTS_HEAD, MODEL_HEAD = sorted(Schema(models.REVISIONS, events.REVISIONS).heads)
"""The newest revisions that this release has, of the events and of the model."""


@dataclass(frozen=True)
class Release:
    """A version of the package, as a process imports it.

    Attributes:
        path: what is to be before all else in ``PYTHONPATH``.
    """

    version: str
    path: Path


def this_release() -> Release:
    """The package under test."""
    return Release(aurora_store.__version__, _PACKAGE.parent)


def later_release(directory: Path, *, compatible: bool) -> Release:
    """A copy of the package with another version and one more revision of the model.

    That of the one that is not compatible knows the column `task.ancestor` as ``predecessor``.
    """
    package = directory / "aurora_store"
    shutil.copytree(_PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    version = f"{aurora_store.__version__}.later"
    _edit(package / "__init__.py", r'__version__ = ".*"', f'__version__ = "{version}"')
    if not compatible:
        for source in (package / "models").glob("**/*.py"):
            if source.parent.name != "versions":
                text = source.read_text("utf-8")
                source.write_text(re.sub(r"\bancestor\b", "predecessor", text), "utf-8")
    planted = package / "models" / "versions" / "model_9001.py"
    kind = "compatible" if compatible else "incompatible"
    shutil.copy(_FUTURE / f"model_9001_{kind}.py", planted)
    _edit(planted, r'down_revision = "HEAD"', f'down_revision = "{MODEL_HEAD}"')
    return Release(version, directory)


def _edit(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text("utf-8"))
    assert count == 1, f"{path} has {pattern} {count} times"
    path.write_text(text, "utf-8")
