"""How SQLAlchemy's test suite prepares a database of this dialect.

As any SQLite one, except that
- a URL names a store, not a file, and is taken as it is;
- the schema beside the main one is a plain file, and so opened through SQLite's own VFS.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects.sqlite import provision as provision
from sqlalchemy.testing.provision import generate_driver_url, post_configure_engine

_SCHEMA_FILE = Path(tempfile.gettempdir()) / f"aurora_test_schema_{os.getpid()}.db"


@generate_driver_url.for_db("sqlite")  # type: ignore[untyped-decorator]
def _store_url(url: Any, driver: str, query: str) -> Any:
    return url if driver == "aurora" else None


@post_configure_engine.for_db("sqlite")  # type: ignore[untyped-decorator]
def _attach_test_schema(url: Any, engine: Any, follower_ident: str | None) -> None:
    @event.listens_for(engine, "connect")
    def attach(dbapi_connection: Any, connection_record: Any) -> None:
        dbapi_connection.execute(f"ATTACH 'file:{_SCHEMA_FILE}?vfs=unix' AS test_schema")

    @event.listens_for(engine, "engine_disposed")
    def remove(engine: Any) -> None:
        _SCHEMA_FILE.unlink(missing_ok=True)
