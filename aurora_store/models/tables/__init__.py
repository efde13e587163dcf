"""The model's tables, for queries by SQLAlchemy: Core or ORM.

The stores write them. Others may, too: counts and summaries are kept by triggers.
"""

from sqlalchemy import Connection

from aurora_store import events
from aurora_store.models.tables import base, cluster, hierarchy, tasks, updates
from aurora_store.models.tables.base import *  # noqa: F403
from aurora_store.models.tables.base import metadata
from aurora_store.models.tables.changes import CHANGE_TRIGGERS
from aurora_store.models.tables.cluster import *  # noqa: F403
from aurora_store.models.tables.hierarchy import *  # noqa: F403
from aurora_store.models.tables.tasks import *  # noqa: F403
from aurora_store.models.tables.triggers import TRIGGERS
from aurora_store.models.tables.updates import *  # noqa: F403

__all__ = ["CHANGE_TRIGGERS", "TRIGGERS", "create_schema"]
__all__ += base.__all__
__all__ += cluster.__all__
__all__ += hierarchy.__all__
__all__ += tasks.__all__
__all__ += updates.__all__


def create_schema(connection: Connection) -> None:
    """Makes the tables that are missing, with their indexes and triggers, in this transaction.

    Those of `aurora_store.events` are among them: triggers publish what changes.
    """
    metadata.create_all(connection)
    events.metadata.create_all(connection)
    for statement in CHANGE_TRIGGERS.values():
        connection.exec_driver_sql(
            statement.replace("CREATE TRIGGER", "CREATE TRIGGER IF NOT EXISTS", 1)
        )
