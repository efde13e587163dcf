"""Trying a library in a process of its own, so that a bad one cannot harm the caller's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from aurora_store.errors import LibmesosNotFound

_TIME_LIMIT_S = 60.0

# ssl is imported first because a real application has it: OpenSSL must not get in the way.
_PROGRAM = """
import ctypes, os, sys
try:
    import ssl
except ImportError:
    pass
try:
    ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW | os.RTLD_LOCAL)
except OSError as exc:
    print(exc)
    sys.exit(1)
"""


def load_failure(library: Path) -> str | None:
    """Why a plain ``dlopen`` of the library fails, or ``None`` if it works."""
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(library)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"loading it took longer than {_TIME_LIMIT_S:.0f} s"
    if trial.returncode == 0:
        return None
    if trial.returncode < 0:
        return f"loading it ended the process with signal {-trial.returncode}"
    return trial.stdout.strip() or trial.stderr.strip() or "it cannot be loaded"


def verify_loads(library: Path) -> None:
    """Load the library in another process, as the store would in this one.

    Raises:
        LibmesosNotFound: it does not load; the message has the dynamic linker's reason (most often
            a library it needs that is not installed).
    """
    reason = load_failure(library)
    if reason is not None:
        raise LibmesosNotFound(
            f"libmesos {library} cannot be loaded: {reason}", hint="aurora-store libmesos fetch"
        )
