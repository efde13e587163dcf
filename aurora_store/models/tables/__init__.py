"""The model's tables, for queries by SQLAlchemy: Core or ORM.

The stores write them. Others may, too: counts and summaries are kept by triggers.
"""

from aurora_store.models.tables import base, cluster, hierarchy, tasks, updates
from aurora_store.models.tables.base import *  # noqa: F403
from aurora_store.models.tables.changes import CHANGE_TRIGGERS
from aurora_store.models.tables.cluster import *  # noqa: F403
from aurora_store.models.tables.hierarchy import *  # noqa: F403
from aurora_store.models.tables.tasks import *  # noqa: F403
from aurora_store.models.tables.triggers import TRIGGERS
from aurora_store.models.tables.updates import *  # noqa: F403

__all__ = ["CHANGE_TRIGGERS", "TRIGGERS"]
__all__ += base.__all__
__all__ += cluster.__all__
__all__ += hierarchy.__all__
__all__ += tasks.__all__
__all__ += updates.__all__
