"""A transaction of 500 MB on three replicas. Part of `make soak`: it writes 1.5 GB."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from stores import Cluster


def test_a_transaction_of_500_mb_reaches_every_replica_whole(tmp_path: Path) -> None:
    with ExitStack() as workers:
        cluster = Cluster(workers, tmp_path)
        cluster.replicas[0].call("lead")
        position = cluster.replicas[0].call("bulk", rows=5000, size=100_000, limit=300.0)
        for replica in cluster.replicas:
            replica.call("wait_for", position=position, timeout=120.0, limit=130.0)
        cluster.agree(0)
        statement = "SELECT count(*), sum(length(b)) FROM bulk"
        rows = cluster.replicas[2].call("query", statement=statement)
        assert rows == [[5000, 500_000_000]]
