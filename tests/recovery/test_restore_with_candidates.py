"""A restore among candidates: whoever leads afterwards begins anew, with what was restored."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from memory_stores import MemoryEnsemble

from aurora_store import Store
from aurora_store.election import Candidate, HeartbeatElection, Member


class _Application:
    """Keeps a count in memory, read when its reign begins, as schedulers do."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reigns = 0
        self.count: int | None = None
        self.changed = threading.Condition()
        self.candidate = Candidate(
            store,
            HeartbeatElection(store, member=Member(store.host, store.host)),
            on_leading=self.begin,
            on_standby=self.end,
        )

    def begin(self, *_: object) -> None:
        with self.store.read() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one()
        with self.changed:
            self.count = count
            self.reigns += 1
            self.changed.notify_all()

    def end(self, *_: object) -> None:
        with self.changed:
            self.count = None
            self.changed.notify_all()


def test_an_application_under_election_begins_anew_with_the_restored_state(
    ensemble: MemoryEnsemble, tmp_path: Path
) -> None:
    stores = [ensemble.open("one:1"), ensemble.open("two:1")]
    stores[0].lead()
    with stores[0].begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1), (2), (3)")
    stores[0].backup(tmp_path / "b.db")
    stores[0].step_down()
    applications = [_Application(store) for store in stores]
    try:
        for application in applications:
            application.candidate.start()
        leading = _wait_for_leader(applications)
        with leading.store.begin() as connection:
            connection.exec_driver_sql("DELETE FROM t WHERE a > 1")
        reigns = sum(each.reigns for each in applications)

        leading.store.restore(tmp_path / "b.db", force=True)

        deadline = time.monotonic() + 30
        while sum(each.reigns for each in applications) == reigns:
            assert time.monotonic() < deadline, "nobody began a reign after the restore"
            time.sleep(0.01)
        assert _wait_for_leader(applications).count == 3
    finally:
        for application in applications:
            application.candidate.close()


def _wait_for_leader(applications: list[_Application]) -> _Application:
    deadline = time.monotonic() + 30
    while True:
        for application in applications:
            if application.count is not None:
                return application
        assert time.monotonic() < deadline, "nobody leads"
        time.sleep(0.01)
