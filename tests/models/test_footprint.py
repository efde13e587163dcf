"""What a change of status takes in the log, and a task in memory, stays within its bounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import JOB, S, config

from aurora_store import Store
from aurora_store.events import Events
from aurora_store.libmesos import fetch
from aurora_store.models import (
    ExecutorConfig,
    StateChangeRequest,
    StateManager,
    Stores,
    create_schema,
)

_TASKS = 5000


@pytest.mark.parametrize("subscribers", [[], ["scheduling"]], ids=["unheard", "heard"])
def test_a_change_of_status_is_small_whatever_the_configuration(
    tmp_path: Path, subscribers: list[str]
) -> None:
    big = config(JOB, executor=ExecutorConfig("executor", "x" * 10_000))
    with Store.open(tmp_path / "log", libmesos=fetch(), heartbeat=0.0) as store:
        store.wait_caught_up()
        store.lead()
        with store.begin() as connection:
            create_schema(connection)
        empty = store.status().pages
        with store.begin() as connection:
            manager = StateManager(Stores(connection), scheduler="scheduler-1.example.org")
            ids = manager.insert_pending(big, range(_TASKS))
            for number, each in enumerate(ids):
                manager.assign(each, f"host-{number % 100}", f"agent-{number % 100}")
            manager.change_states([StateChangeRequest(each, S.RUNNING) for each in ids])
        assert (store.status().pages - empty) * 4096 / _TASKS <= 600  # three events each
        with store.begin() as connection:
            for name in subscribers:
                Events(store).add_subscriber(connection, name)
        before = store.status().bytes_appended
        some = ids[:: _TASKS // 50]
        for each in some:
            with store.begin() as connection:
                StateManager(Stores(connection), scheduler="scheduler-1.example.org").change_state(
                    each, S.FINISHED, message="Command exited normally"
                )
        assert (store.status().bytes_appended - before) / len(some) <= 1024
