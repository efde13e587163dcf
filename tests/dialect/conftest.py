"""Opens the store that SQLAlchemy's test suite runs on, then hands pytest to the suite's plugin."""

from __future__ import annotations

import atexit

import pytest
from memory_store import MemoryStore
from sqlalchemy.dialects import registry

from aurora_store import driver

registry.register("sqlite.aurora", "aurora_store.dialect.base", "SQLiteDialect_aurora")
pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

# Tests that need two writers at once fail after a moment, not after the limit of a real wait.
_store = MemoryStore(begin_timeout_s=1.0)
_store.lead()
driver.register("suite", _store.handle)
atexit.register(_store.close)

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403
