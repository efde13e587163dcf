"""For development and tests: a real Mesos and ZooKeeper on this computer.

`MesosCluster` is a master and agents that run real tasks, out of the same libmesos as the log, with
no Mesos installed; on the command line it is ``aurora-store dev mesos``. `ZooKeeperServer` is the
distribution's ZooKeeper.
"""

from aurora_store.dev.mesos import MesosCluster
from aurora_store.dev.zookeeper import ZooKeeperServer

__all__ = ["MesosCluster", "ZooKeeperServer"]
