"""Which libmesos a store uses: the first rule that names or finds one.

1. the explicit argument (``--libmesos`` on the command line)
2. ``AURORA_STORE_LIBMESOS``
3. ``MESOS_NATIVE_LIBRARY``, then ``MESOS_NATIVE_JAVA_LIBRARY``: the conventions of Mesos
4. the system: ``LD_LIBRARY_PATH``, the dynamic linker's cache, the usual directories
5. the one that `aurora_store.libmesos.fetch` brought

A library that somebody named (1 to 3) is used or is an error: falling through would hide the
mistake. One that merely lies about on the system (4) is passed over if it cannot be used.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aurora_store.errors import LibmesosNotFound
from aurora_store.libmesos.cache import LIBRARY_NAME, fetched_library
from aurora_store.libmesos.elf import Inspection, Unusable, inspect
from aurora_store.libmesos.loading import load_failure

_FETCH_COMMAND = "aurora-store libmesos fetch"
_VARIABLES = ("AURORA_STORE_LIBMESOS", "MESOS_NATIVE_LIBRARY", "MESOS_NATIVE_JAVA_LIBRARY")
_USUAL_DIRECTORIES = ("/usr/lib", "/usr/local/lib", "/usr/lib/mesos", "/usr/lib64")
_LINKER_CACHE_ENTRY = re.compile(r"^\s+libmesos(?:-[\d.]+)?\.so\s.*=> (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Libmesos:
    """A library that was found and looks usable: pass `path` to the native binding."""

    path: Path
    """The file to ``dlopen``."""

    rule: str
    """Which rule found it: ``argument``, the variable's name, ``system`` or ``fetched``."""

    version: str | None
    """The Mesos version, or ``None`` where the file does not tell."""

    abi: str
    """The C++ ABI: ``cxx11``."""

    tls: bool
    """Whether it can speak TLS between replicas. The fetched one cannot."""

    compacts: bool
    """Whether a log can give the space of truncated entries back while it runs; otherwise only
    opening its directory does."""

    passed_over: tuple[str, ...] = ()
    """Libraries of the system that came first and cannot be used, with the reason."""


def find(explicit: str | os.PathLike[str] | None = None) -> Libmesos:
    """The libmesos to use, judged from its ELF file without loading it into this process.

    Args:
        explicit: the library that the caller wants; nothing else is looked at then.

    Raises:
        LibmesosNotFound: there is none, or the one that was named cannot be used. Run
            ``aurora-store libmesos fetch`` or name another.
    """
    named = _named(explicit)
    if named is not None:
        return _use_named(*named)
    passed_over: list[str] = []
    for path in _system_libraries():
        try:
            return _libmesos(path, "system", _usable(path), tuple(passed_over))
        except Unusable as exc:
            passed_over.append(f"{path}: {exc}")
    fetched = fetched_library()
    if not fetched.exists():
        others = "".join(f"; passed over {reason}" for reason in passed_over)
        raise LibmesosNotFound(
            f"no libmesos: none is named by {', '.join(_VARIABLES)}, the system has none that can"
            f" be used and none was fetched to {fetched.parent}{others}",
            hint=_FETCH_COMMAND,
        )
    try:
        return _libmesos(fetched, "fetched", inspect(fetched), tuple(passed_over))
    except Unusable as exc:
        raise LibmesosNotFound(
            f"the fetched libmesos {fetched} cannot be used: {exc}",
            hint=f"{_FETCH_COMMAND} --force",
        ) from exc


def _named(explicit: str | os.PathLike[str] | None) -> tuple[Path, str] | None:
    if explicit is not None:
        return Path(explicit), "argument"
    for variable in _VARIABLES:
        value = os.environ.get(variable)
        if value:
            return Path(value), variable
    return None


def _use_named(path: Path, rule: str) -> Libmesos:
    try:
        return _libmesos(path, rule, inspect(path))
    except Unusable as exc:
        if rule == "argument":
            source, hint = "named explicitly", f"{_FETCH_COMMAND}, then leave out the path"
        else:
            source, hint = f"named by {rule}", f"unset {rule} && {_FETCH_COMMAND}"
        raise LibmesosNotFound(
            f"libmesos {path} ({source}) cannot be used: {exc}", hint=hint
        ) from exc


def _libmesos(
    path: Path, rule: str, seen: Inspection, passed_over: tuple[str, ...] = ()
) -> Libmesos:
    # The real file: the fetched one looks for its stubs beside the path it was opened by.
    return Libmesos(
        path.resolve(), rule, seen.version, seen.abi, seen.tls, seen.compacts, passed_over
    )


def _usable(path: Path) -> Inspection:
    seen = inspect(path)
    # Nobody chose this one, so it gets no benefit of the doubt about what it needs in turn.
    reason = load_failure(path.resolve())
    if reason is not None:
        raise Unusable(reason)
    return seen


def _system_libraries() -> Iterator[Path]:
    seen: set[Path] = set()
    for path in _system_candidates():
        if path.is_file() and path.resolve() not in seen:
            seen.add(path.resolve())
            yield path


def _system_candidates() -> Iterator[Path]:
    for directory in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        if directory:
            yield Path(directory, LIBRARY_NAME)
    yield from map(Path, _LINKER_CACHE_ENTRY.findall(_linker_cache()))
    for directory in _USUAL_DIRECTORIES:
        yield Path(directory, LIBRARY_NAME)


def _linker_cache() -> str:
    # Often outside the path of users who are not root.
    ldconfig = shutil.which("ldconfig") or shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if ldconfig is None:
        return ""
    listing = subprocess.run(
        [ldconfig, "-p"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return listing.stdout
