"""A store on the test double of a replicated log, for tests that need connections and no Mesos."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aurora_store.driver import StoreHandle
from aurora_store.native import call, ffi, lib

LIMIT_S = 20.0


@dataclass
class MemoryStore:
    """One replica with a log of its own in memory. Not leading yet."""

    begin_timeout_s: float = LIMIT_S
    commit_timeout_s: float = LIMIT_S
    append_timeout_s: float = 1.0  # also how long a commit waits to be settled
    log: Any = field(init=False)
    store: Any = field(init=False)
    _texts: Any = field(init=False)

    def __post_init__(self) -> None:
        ensemble = lib.aur_memory_ensemble_new()
        self.log = lib.aur_log_open_memory(ensemble)
        lib.aur_memory_ensemble_free(ensemble)
        self._texts = {
            name: ffi.new("char[]", b"test") for name in ("host", "software", "instance")
        }
        options = ffi.new("aur_store_options*")
        options.append_timeout_s = self.append_timeout_s
        options.entry_limit_bytes = 1 << 20
        options.window_bytes = 1 << 20
        for name, value in self._texts.items():
            setattr(options, name, value)
        self.store = lib.aur_store_open(self.log, options)
        _, outcome = call(lib.aur_store_wait_caught_up, self.store, LIMIT_S)
        assert outcome.status == lib.AUR_OK, outcome.reason

    @property
    def handle(self) -> StoreHandle:
        """What connections need."""
        return StoreHandle(
            lib.aur_store_database(self.store),
            begin_timeout_s=self.begin_timeout_s,
            commit_timeout_s=self.commit_timeout_s,
        )

    def lead(self) -> None:
        """Becomes leader."""
        timing = ffi.new("aur_lead_timing*")
        _, outcome = call(lib.aur_store_lead, self.store, LIMIT_S, timing)
        assert outcome.status == lib.AUR_OK, outcome.reason

    def arm(self, fault: str, *, countdown: int = 0, times: int = 1, amount: int = 0) -> None:
        """Arms a fault of the log (native/log/memory_log.h)."""
        _, outcome = call(
            lib.aur_log_memory_fault, self.log, fault.encode(), countdown, times, amount
        )
        assert outcome.status == lib.AUR_OK, outcome.reason

    def disarm(self) -> None:
        """Ends every fault."""
        lib.aur_log_memory_clear_faults(self.log)

    def wait_until_not_leading(self) -> None:
        """Returns once the store has noticed that it leads no more."""
        assert lib.aur_store_wait_state(self.store, lib.AUR_LEADING, LIMIT_S) != lib.AUR_LEADING

    def close(self) -> None:
        """Ends everything."""
        lib.aur_store_close(self.store)
        lib.aur_store_free(self.store)
        lib.aur_log_free(self.log)
