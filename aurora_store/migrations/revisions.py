"""Revisions, read from files by Alembic."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

__all__ = ["Revision", "read_revisions"]

# `alembic.op` speaks to one connection of the process at a time.
_alembic: Final = threading.RLock()
_running: Final[list[str]] = []  # guarded by _alembic


@dataclass(frozen=True)
class Revision:
    """A step of a schema.

    Attributes:
        id: its name in the file.
        message: the first line of the file's docstring.
        after: the revisions before it, in its own branch.
        needs: those of other branches that it builds upon.
        compatible: whether software that knows all but this one may read and write after it.
        module: the file.
    """

    id: str
    message: str
    after: tuple[str, ...]
    needs: tuple[str, ...]
    compatible: bool
    module: ModuleType

    @property
    def reversible(self) -> bool:
        """Whether the file says how to undo it."""
        return hasattr(self.module, "downgrade")

    def upgrade(self, connection: Connection) -> None:
        """Does it, in the connection's transaction."""
        self._run(self.module.upgrade, connection)

    def downgrade(self, connection: Connection) -> None:
        """Undoes it, in the connection's transaction."""
        self._run(self.module.downgrade, connection)

    def _run(self, step: Callable[[], None], connection: Connection) -> None:
        context = MigrationContext.configure(connection)
        with _alembic:
            if _running:
                raise RuntimeError(f"revision {self.id} is run by revision {_running[0]}")
            _running.append(self.id)
            try:
                with Operations.context(context):
                    step()
            finally:
                _running.clear()


def read_revisions(directories: Sequence[str | os.PathLike[str]]) -> tuple[Revision, ...]:
    """The revisions of some directories, each behind those that it builds upon.

    Raises:
        ValueError: a directory is not there or has no revisions, or they do not fit together.
    """
    paths = [Path(each).absolute() for each in directories]
    for path in paths:
        if not path.is_dir():
            raise ValueError(f"there is no directory of revisions {path}")
    scripts = ScriptDirectory(str(paths[0]), version_locations=[str(path) for path in paths])
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Revision .* is present more than once")
            found = {each.revision: _revision(scripts, each) for each in scripts.walk_revisions()}
    except (UserWarning, CommandError, KeyError, AttributeError, ImportError, SyntaxError) as exc:
        where = ", ".join(map(str, paths))
        raise ValueError(f"the revisions in {where} cannot be read: {_why(exc)}") from exc
    for path in paths:
        if not any(Path(str(each.module.__file__)).parent == path for each in found.values()):
            raise ValueError(f"there are no revisions in {path}")
    # By name where the graph leaves it open: every replica does the same.
    order = TopologicalSorter(
        {name: sorted({*found[name].after, *found[name].needs}) for name in sorted(found)}
    )
    return tuple(found[name] for name in order.static_order())


def _why(error: Exception) -> str:
    if not isinstance(error, KeyError):
        return str(error)
    name = str(error.args[0])
    owner = {"events": "events", "model": "models"}.get(name.partition("_")[0])
    ours = f": add aurora_store.{owner}.REVISIONS" if owner else ""
    return f"there is no revision {name} in them, which another one names{ours}"


def _revision(scripts: ScriptDirectory, script: Script) -> Revision:
    depends = script.dependencies or ()
    names = (depends,) if isinstance(depends, str) else tuple(depends)
    needs = {each.revision for name in names for each in scripts.get_revisions(name) if each}
    down = script.down_revision or ()
    after = {down} if isinstance(down, str) else set(down)
    module = script.module
    if not hasattr(module, "upgrade"):
        raise AttributeError(f"{module.__file__} has no upgrade()")
    compatible = getattr(module, "compatible", False)
    if not isinstance(compatible, bool):
        raise AttributeError(f"{module.__file__}: compatible is True or False, not {compatible!r}")
    message = next(iter(str(script.doc or "").splitlines()), "").rstrip(".")
    return Revision(
        script.revision, message, tuple(sorted(after)), tuple(sorted(needs)), compatible, module
    )
