"""The model's values: frozen, checked when they are made, and nothing of SQL in them."""

from aurora_store.models.values import config, enums, hosts, jobs, keys, tasks, updates
from aurora_store.models.values.config import *  # noqa: F403
from aurora_store.models.values.enums import *  # noqa: F403
from aurora_store.models.values.hosts import *  # noqa: F403
from aurora_store.models.values.jobs import *  # noqa: F403
from aurora_store.models.values.keys import *  # noqa: F403
from aurora_store.models.values.tasks import *  # noqa: F403
from aurora_store.models.values.updates import *  # noqa: F403

__all__ = []
__all__ += config.__all__
__all__ += enums.__all__
__all__ += hosts.__all__
__all__ += jobs.__all__
__all__ += keys.__all__
__all__ += tasks.__all__
__all__ += updates.__all__
