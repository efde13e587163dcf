"""The framework's id in the store, and the proof of leadership before each subscription.

    aurora_store_framework (name, framework_id, subscriptions)

One row for each framework of a store. The id is there from the first registration on, and every
later leader subscribes with it. ``subscriptions`` counts them: adding to it is a commit, which only
the leader of this moment can make.
"""

from __future__ import annotations

from sqlalchemy import text

from aurora_store.errors import StoreError
from aurora_store.store import Store

_CREATE = text(
    "CREATE TABLE IF NOT EXISTS aurora_store_framework ("
    " name TEXT PRIMARY KEY, framework_id TEXT, subscriptions INTEGER NOT NULL) WITHOUT ROWID"
)
_INSERT = text("INSERT OR IGNORE INTO aurora_store_framework VALUES (:name, NULL, 0)")
_FORGET = text(
    "UPDATE aurora_store_framework SET framework_id = NULL"
    " WHERE name = :name AND framework_id = :framework_id"
)
_CLAIM = text(
    "UPDATE aurora_store_framework SET subscriptions = subscriptions + 1 WHERE name = :name"
)
_SAVE = text("UPDATE aurora_store_framework SET framework_id = :framework_id WHERE name = :name")
_READ = text("SELECT framework_id FROM aurora_store_framework WHERE name = :name")
_TABLE = text("SELECT 1 FROM sqlite_schema WHERE name = 'aurora_store_framework'")


class Registration:
    """What is kept about one framework. Any thread may use it.

    All that writes raises `NotLeader`, `LeadershipLost` or `CommitOutcomeUnknown` on a replica that
    does not lead, or no more, and `WriterBusy` if the write lock is held for too long.

    Args:
        store: where.
        name: of the framework, as in its ``FrameworkInfo``.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    def prepare(self, *, forget: str | None = None) -> None:
        """Makes the table and the row, if they are missing; drops the id if it is `forget`."""
        with self._store.begin() as connection:
            connection.execute(_CREATE)
            connection.execute(_INSERT, {"name": self._name})
            if forget is not None:
                connection.execute(_FORGET, {"name": self._name, "framework_id": forget})

    def claim(self) -> str | None:
        """Proves by a commit that this replica leads; returns the id, if there is one yet."""
        with self._store.begin() as connection:
            connection.execute(_CLAIM, {"name": self._name})
            return self._id(connection.execute(_READ, {"name": self._name}).scalar())

    def save(self, framework_id: str) -> bool:
        """Keeps the id that the master gave; true if it is a new one. Durable on return.

        Raises:
            StoreError: the framework has another id already.
        """
        with self._store.begin() as connection:
            kept = self._id(connection.execute(_READ, {"name": self._name}).scalar())
            if kept not in (None, framework_id):
                raise StoreError(
                    f"the master registered {self._name} as {framework_id}, although it"
                    f" subscribed as {kept}; nothing was changed"
                )
            if kept is None:
                connection.execute(_SAVE, {"name": self._name, "framework_id": framework_id})
            return kept is None

    def read(self) -> str | None:
        """The id as this replica knows it; ``None`` if there is none yet. Writes nothing."""
        with self._store.read() as connection:
            if connection.execute(_TABLE).scalar() is None:
                return None
            return self._id(connection.execute(_READ, {"name": self._name}).scalar())

    @staticmethod
    def _id(value: object) -> str | None:
        return None if value is None else str(value)
