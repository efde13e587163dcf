"""Files and directories that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["directory_beside", "written_beside"]


@contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file, mode 0600, that takes the place of `path` when the block has ended well.

    By then it is on disk, and so is its name. If the block fails, nothing is left of it.

    Raises:
        OSError: it cannot be made or written; it names `path`.
    """
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        )
    except OSError as exc:
        exc.filename = str(target)
        raise
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException as exc:
        os.unlink(name)
        if isinstance(exc, OSError) and exc.filename in (None, name):  # a write has none
            exc.filename, exc.filename2 = str(target), None
        raise
    _sync(target.parent)


@contextmanager
def directory_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new directory, mode 0700, that takes the place of `path` when the block has ended well.

    By then `path` is not there, or empty. If the block fails, nothing is left of the new one.

    Raises:
        OSError: it cannot be made; it names `path`.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        name = tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as exc:
        exc.filename = str(target)
        raise
    try:
        yield Path(name)
        os.replace(name, target)
    except BaseException:
        shutil.rmtree(name, ignore_errors=True)
        raise
    _sync(target.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
