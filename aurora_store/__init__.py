"""SQLite whose transaction log is the Mesos replicated log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from aurora_store.status import LeadTiming, State, Status
    from aurora_store.store import Store
    from aurora_store.tokens import TokenOutcome, new_token

__all__ = [
    "LeadTiming",
    "State",
    "Status",
    "Store",
    "TokenOutcome",
    "__version__",
    "new_token",
]


def __getattr__(name: str) -> Any:
    # Late, so that `aurora-store libmesos fetch` works before the native part is built.
    if name == "Store":
        from aurora_store.store import Store

        return Store
    if name in ("LeadTiming", "State", "Status"):
        from aurora_store import status

        return getattr(status, name)
    if name in ("TokenOutcome", "new_token"):
        from aurora_store import tokens

        return getattr(tokens, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
