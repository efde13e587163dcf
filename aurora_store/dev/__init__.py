"""For development and tests: a real Mesos on this computer, with no Mesos installed.

`MesosCluster` is a master and agents that run real tasks, out of the same libmesos as the log; on
the command line it is ``aurora-store dev mesos``.
"""

from aurora_store.dev.mesos import MesosCluster

__all__ = ["MesosCluster"]
