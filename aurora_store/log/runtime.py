"""libmesos and libprocess in this process: loaded and started once, for every log."""

from __future__ import annotations

import logging
import os
import threading

from aurora_store.errors import LibmesosNotFound, LogUnavailable
from aurora_store.libmesos import Libmesos, find
from aurora_store.log.members import Address
from aurora_store.native import c_text, call, ffi, lib, text

logger = logging.getLogger("aurora_store.libmesos")
logger.addHandler(logging.NullHandler())  # an application that sets up no logging sees nothing

_LEVELS = (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)

_start_lock = threading.Lock()
_log_thread: threading.Thread | None = None


def start(
    address: Address,
    *,
    advertise: Address | None = None,
    libmesos: str | os.PathLike[str] | None = None,
    worker_threads: int = 0,
    delegate: str | None = None,
) -> str:
    """Loads libmesos and starts libprocess, unless that was done. Returns where it listens.

    `delegate` is the actor that answers HTTP requests which name none.

    Raises:
        LibmesosNotFound: there is no library, or it cannot be loaded.
        LogUnavailable: the address cannot be used, libprocess runs with other options already, or
            TLS is asked for and the library has none.
    """
    with _start_lock:
        found = find(libmesos)
        _check_tls(found)
        _, loaded = call(lib.aur_libmesos_load, c_text(str(found.path)))
        if loaded.status != lib.AUR_OK:
            raise LibmesosNotFound(loaded.reason)
        lib.aur_libmesos_log_level(0 if logger.isEnabledFor(logging.INFO) else 1)
        texts = [c_text(address.host), c_text(advertise.host if advertise else None)]
        texts.append(c_text(delegate))
        options = ffi.new("aur_libprocess_options *")
        options.ip, options.advertise_ip, options.delegate = texts
        options.port = address.port
        options.advertise_port = advertise.port if advertise else 0
        options.worker_threads = worker_threads
        _, started = call(lib.aur_libprocess_start, options)
        if started.status != lib.AUR_OK:
            raise LogUnavailable(started.reason)
        _forward_log_lines()
    buffer = ffi.new("char[64]")
    lib.aur_libprocess_address(buffer, 64)
    return text(buffer)


def _check_tls(found: Libmesos) -> None:
    # libprocess would call OpenSSL, which is not there, and the process would end.
    if os.environ.get("LIBPROCESS_SSL_ENABLED", "").lower() in ("1", "true") and not found.tls:
        raise LogUnavailable(
            f"LIBPROCESS_SSL_ENABLED asks for TLS, which {found.path} does not have",
            hint="name a library with TLS in AURORA_STORE_LIBMESOS: see docs/security.md",
        )


def _forward_log_lines() -> None:
    global _log_thread
    if _log_thread is None:
        _log_thread = threading.Thread(target=_forward, name="libmesos-log", daemon=True)
        _log_thread.start()


def _forward() -> None:
    line = ffi.new("aur_log_line *")
    dropped = 0
    while True:
        if not lib.aur_libmesos_log_line(line, 3600.0):
            continue
        if line.dropped > dropped:
            logger.warning("%d lines of libmesos were not logged", line.dropped - dropped)
            dropped = line.dropped
        logger.log(
            _LEVELS[line.severity], "%s (%s:%d)", text(line.text), text(line.file), line.line
        )
