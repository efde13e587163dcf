"""Stores of one process, on the test double of a replicated log, so that it can be made to fail."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from aurora_store import Store
from aurora_store.log import Log
from aurora_store.native import call, ffi, lib

HEARTBEAT_S = 0.2
"""So elections take less than a second."""


class MemoryLog(Log):
    """One replica of the test double."""

    def __init__(self, ensemble: Any) -> None:
        handle = ffi.gc(lib.aur_log_open_memory(ensemble), lib.aur_log_free)
        super().__init__(handle, Path("memory"), "127.0.0.1:0", "", None, (0, 1))

    def arm(self, fault: str, *, countdown: int = 0, times: int = 1) -> None:
        """Arms a fault (native/log/memory_log.h)."""
        _, outcome = call(
            lib.aur_log_memory_fault, self.handle, fault.encode(), countdown, times, 0
        )
        assert outcome.status == lib.AUR_OK, outcome.reason

    def disarm(self) -> None:
        """Ends every fault."""
        lib.aur_log_memory_clear_faults(self.handle)


class MemoryEnsemble:
    """Replicas that share one log."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._ensemble = ffi.gc(lib.aur_memory_ensemble_new(), lib.aur_memory_ensemble_free)
        self.logs: list[MemoryLog] = []

    def open(self, host: str, **options: Any) -> Store:
        """One more store on that log."""
        log = MemoryLog(self._ensemble)
        self.logs.append(log)
        options = {"heartbeat": HEARTBEAT_S, "append_timeout": 2.0, "begin_timeout": 5.0} | options
        return self._stack.enter_context(Store(log, host=host, **options))
