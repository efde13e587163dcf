"""A highly available Mesos framework: a pymesos scheduler that survives its process.

    framework = Framework(
        store, election, MyScheduler(), info={"name": "mine", "user": "nobody"}, master=...
    )
    framework.run()

Needs the extra ``mesos``. Import it in the main thread: pymesos installs a handler for SIGINT. See
``docs/framework.md``.
"""

from aurora_store.framework.driver import Driver
from aurora_store.framework.framework import Framework
from aurora_store.framework.lifecycle import (
    FrameworkState,
    FrameworkStatus,
    Takeover,
    Transition,
)
from aurora_store.framework.metrics import FrameworkCollector
from aurora_store.framework.scheduler import Scheduler
from aurora_store.framework.services import Service

__all__ = [
    "Driver",
    "Framework",
    "FrameworkCollector",
    "FrameworkState",
    "FrameworkStatus",
    "Scheduler",
    "Service",
    "Takeover",
    "Transition",
]
