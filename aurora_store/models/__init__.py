"""The scheduler's model: Role / Environment / Job / Instance / Task, and its stores.

    from aurora_store.models import *

    with store.begin() as connection:
        create_schema(connection)
        config = TaskConfig(JobKey("www", "prod", "web"), "alice", Resources(1.0, 512, 1024))
        StateManager(Stores(connection)).insert_pending(config, range(3))

docs/model.md has the diagram and the guide to queries.
"""

from aurora_store.models import changes, tables
from aurora_store.models.changes import *  # noqa: F403
from aurora_store.models.manager import (
    ILLEGAL_TRANSITIONS,
    IllegalDelete,
    InstanceInUse,
    StateChange,
    StateChangeRequest,
    StateManager,
)
from aurora_store.models.pruning import (
    TaskHistory,
    UpdateHistory,
    prune,
    prune_tasks,
    prune_updates,
)
from aurora_store.models.query import JobUpdateQuery, TaskQuery
from aurora_store.models.schema import REVISIONS, create_schema
from aurora_store.models.states import TRANSITIONS, StateChangeResult
from aurora_store.models.stores import *  # noqa: F403
from aurora_store.models.stores import __all__ as _stores
from aurora_store.models.tables.base import Base, metadata
from aurora_store.models.values import *  # noqa: F403
from aurora_store.models.values import __all__ as _values

__all__ = [
    "Base",
    "ILLEGAL_TRANSITIONS",
    "IllegalDelete",
    "InstanceInUse",
    "JobUpdateQuery",
    "REVISIONS",
    "StateChange",
    "StateChangeRequest",
    "StateChangeResult",
    "StateManager",
    "TRANSITIONS",
    "TaskHistory",
    "TaskQuery",
    "UpdateHistory",
    "changes",
    "create_schema",
    "metadata",
    "prune",
    "prune_tasks",
    "prune_updates",
    "tables",
]
__all__ += changes.__all__
__all__ += _stores
__all__ += _values
