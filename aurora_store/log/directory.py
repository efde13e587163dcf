"""The directory of a replica, looked at before libmesos is: on an unusable one it ends the process.

It holds a LevelDB database: ``CURRENT`` names the manifest, ``LOCK`` is held with ``fcntl`` by the
process that has it open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import tempfile
from pathlib import Path

from aurora_store.errors import Corrupt, LogInUse, LogUnavailable
from aurora_store.log.files.check import first_damage

_FREE_BYTES = 16 << 20  # as the native log wants for an append
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux
_CURRENT = re.compile(rb"MANIFEST-\d{6,}\n")
_DATA = re.compile(r"\d{6,}\.(log|ldb|sst)|MANIFEST-\d{6,}")
_HARMLESS = re.compile(r"LOCK|LOG|LOG\.old|\d{6,}\.dbtmp|control\.sock")
_RECORD_HEADER = struct.Struct(
    "<IHB"
)  # checksum, size, type: what each record of a manifest begins with
_FULL_RECORD, _FIRST_PART = 1, 2


def check_directory(directory: Path) -> bool:
    """Makes sure that libmesos can open `directory`, which is made if it is not there.

    Returns:
        Whether a replica lives there already.

    Raises:
        LogInUse: a process has it open; the message says which.
        LogUnavailable: it cannot be made or written, or belongs to something else.
        Corrupt: its database is damaged.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)  # libmesos makes its files readable to all
        names = {entry.name for entry in os.scandir(directory)}
    except (FileExistsError, NotADirectoryError) as exc:
        raise LogUnavailable(f"log directory {directory} is not a directory") from exc
    except OSError as exc:
        raise LogUnavailable(f"log directory {directory} cannot be used: {exc.strerror}") from exc
    _check_lock(directory)
    _check_writable(directory)
    return _check_database(directory, names)


def disk_usage(directory: Path) -> int:
    """The bytes of all files in `directory`; those that vanish meanwhile do not count."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def log_directory_around(path: Path) -> Path | None:
    """The log directory that `path`, which need not be there, lies in: nobody else may write there.

    It is told by its ``CURRENT``.
    """
    for folder in Path(os.path.realpath(path)).parents:
        if os.path.exists(folder / "CURRENT"):
            return folder
    return None


def _check_lock(directory: Path) -> None:
    lock = directory / "LOCK"
    # First: a lock of fcntl does not tell a process of its own, and closing the file would end it.
    if _open_in_this_process(lock):
        raise LogInUse(f"log directory {directory} is open in this very process already")
    try:
        with lock.open("r+b") as file:
            wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            held = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, wanted))
    except FileNotFoundError:
        return
    except OSError as exc:
        raise LogUnavailable(f"{lock} cannot be opened: {exc.strerror}") from exc
    kind, pid = held[0], held[4]
    if kind != fcntl.F_UNLCK:
        raise LogInUse(f"log directory {directory} is open in {_describe_process(pid)}")


def _open_in_this_process(lock: Path) -> bool:
    try:
        wanted = os.stat(lock)
    except OSError:
        return False
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.path.samestat(os.fstat(int(number)), wanted):
                return True
        except OSError:
            continue  # closed meanwhile
    return False


def _describe_process(pid: int) -> str:
    if pid <= 0:  # of another process namespace
        return "another process"
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (OSError, UnicodeDecodeError):
        return f"process {pid}"
    return f"process {pid} ({command[:100]})"


def _check_writable(directory: Path) -> None:
    try:
        # Says more than the permission bits: read-only and full file systems, quotas.
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
        disk = os.statvfs(directory)
    except OSError as exc:
        raise LogUnavailable(
            f"log directory {directory} cannot be written: {exc.strerror}"
        ) from exc
    free = disk.f_bavail * disk.f_frsize
    if free < _FREE_BYTES:
        raise LogUnavailable(
            f"log directory {directory} has {free >> 10} KiB left on its disk;"
            f" {_FREE_BYTES >> 10} KiB are the least to open a log",
            hint="free some space",
        )


def _check_database(directory: Path, names: set[str]) -> bool:
    if "CURRENT" not in names:
        if any(map(_DATA.fullmatch, names)):
            raise Corrupt(
                f"log directory {directory} lost its file CURRENT; libmesos would begin anew",
                hint="with other replicas alive, move the directory away: this one rejoins them",
            )
        strangers = sorted(name for name in names if not _HARMLESS.fullmatch(name))
        if strangers:
            raise LogUnavailable(
                f"{directory} is no log directory: it holds {', '.join(strangers[:3])}",
                hint="name a directory of its own for the log",
            )
        return False
    try:
        current = (directory / "CURRENT").read_bytes()
        if not _CURRENT.fullmatch(current):
            raise _damaged(directory, "its file CURRENT does not name a manifest")
        manifest = directory / current.decode().strip()
        with manifest.open("rb") as file:
            header = file.read(_RECORD_HEADER.size)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError as exc:
        raise _damaged(directory, f"{current.decode().strip()} is missing") from exc
    except OSError as exc:
        raise LogUnavailable(f"log directory {directory} cannot be read: {exc}") from exc
    if len(header) < _RECORD_HEADER.size:
        raise _damaged(directory, f"{manifest.name} is empty")
    _, length, kind = _RECORD_HEADER.unpack(header)
    if kind not in (_FULL_RECORD, _FIRST_PART) or _RECORD_HEADER.size + length > size:
        raise _damaged(directory, f"{manifest.name} does not begin with a record")
    try:
        # LevelDB looks at a table later, and libmesos takes one that is damaged for no data.
        damage = first_damage(manifest)
    except OSError as exc:
        raise LogUnavailable(f"log directory {directory} cannot be read: {exc}") from exc
    if damage is not None:
        raise _damaged(directory, str(damage))
    return True


def _damaged(directory: Path, what: str) -> Corrupt:
    return Corrupt(
        f"the database in log directory {directory} is damaged: {what}",
        hint=f"aurora-store log verify {directory}; with other replicas alive, move the directory"
        " aside and start with an empty one: it rejoins them",
    )
