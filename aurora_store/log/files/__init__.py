"""A replica's directory read offline, while its process runs or not: nothing in it is touched.

    from aurora_store.log.files import ReplicaDirectory

    replica = ReplicaDirectory.read("/var/lib/scheduler/store")
    for action in replica.entries(100, 200):
        print(action.position, action.kind.value, action.learned, len(action.data))
    state = replica.state()         # reads all of it
    print(state.begin, state.end, state.holes, state.unlearned, replica.damages)

libmesos keeps its log in a LevelDB database. `journal`, `manifest`, `wal` and `table` read its
files, `database` makes one order of keys out of them, `action` knows what Mesos keeps for a key,
and `replica` puts it together. What is damaged is noted (`Damage`), and reading goes on behind it.

Memory: the newest writes, which LevelDB keeps in memory as well (a few MiB and an entry), and of
each table that is being read one block.
"""

from aurora_store.log.files.action import Action, Kind, Metadata, Status
from aurora_store.log.files.damage import Damage
from aurora_store.log.files.replica import Progress, Ranges, ReplicaDirectory, ReplicaState

__all__ = [
    "Action",
    "Damage",
    "Kind",
    "Metadata",
    "Progress",
    "Ranges",
    "ReplicaDirectory",
    "ReplicaState",
    "Status",
]
