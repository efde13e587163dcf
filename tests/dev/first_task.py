"""What a first try of the extra "mesos" is: a cluster, a scheduler on pymesos, one task.

Run by test_mesos_extra.py in an environment of its own, with nothing of these tests importable.
"""

import threading
from pathlib import Path

from pymesos import MesosSchedulerDriver, Scheduler

import aurora_store
from aurora_store.dev import MesosCluster


class FirstTask(Scheduler):
    """Launches one task on the first offer."""

    def __init__(self):
        self.launched = False
        self.finished = threading.Event()
        self.states = []

    def resourceOffers(self, driver, offers):  # noqa: N802
        """pymesos's name."""
        if self.launched:
            return
        self.launched = True
        cpus = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}
        mem = {"name": "mem", "type": "SCALAR", "scalar": {"value": 16}}
        task = {
            "name": "first",
            "task_id": {"value": "first"},
            "agent_id": offers[0]["agent_id"],
            "resources": [cpus, mem],
            "command": {"value": "true"},
        }
        driver.launchTasks(offers[0]["id"], [task])

    def statusUpdate(self, driver, update):  # noqa: N802
        """pymesos's name."""
        self.states.append(update["state"])
        if update["state"] not in ("TASK_STARTING", "TASK_RUNNING"):
            self.finished.set()


scheduler = FirstTask()
with MesosCluster() as cluster:
    driver = MesosSchedulerDriver(scheduler, {"user": "nobody", "name": "first"}, cluster.master)
    driver.start()
    scheduler.finished.wait(30.0)
    driver.stop()
    driver.join()
print(Path(aurora_store.__file__).parent)
print(*scheduler.states)
