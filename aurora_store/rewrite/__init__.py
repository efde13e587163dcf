"""A new log directory out of an old one: up to a position, or without a range of positions.

The old one is never touched. The new one is a real log of one replica, made by libmesos, closed and
proved by a replay when `rewrite` returns. `copy` copies entries, `apply` brings the changes of
later transactions back as SQL, and `rewrite` puts it together.
"""

from aurora_store.rewrite.apply import Conflict
from aurora_store.rewrite.rewrite import RewriteRefused, Rewritten, rewrite

__all__ = ["Conflict", "RewriteRefused", "Rewritten", "rewrite"]
