"""What `Store.lead` says on a replica that leads, or thinks so. On the test double of a log."""

from __future__ import annotations

import pytest
from memory_stores import MemoryEnsemble
from sqlalchemy import text

from aurora_store.errors import LogUnavailable, StoreClosed
from aurora_store.status import State

NEVER = 0.0


def test_a_leader_proves_with_one_entry_that_it_leads(ensemble: MemoryEnsemble) -> None:
    store = ensemble.open("one:1", heartbeat=NEVER)
    reign = store.lead().position
    before = store.status()
    assert store.lead().position == reign
    after = store.status()
    assert (after.epoch, after.appends) == (before.epoch, before.appends + 1)


def test_a_deposed_leader_that_has_not_heard_of_it_is_elected_anew(
    ensemble: MemoryEnsemble,
) -> None:
    old = ensemble.open("one:1", heartbeat=NEVER)
    new = ensemble.open("two:1", heartbeat=NEVER)
    old.lead()
    reign = new.lead().position
    assert old.status().state is State.LEADING, "nothing has told it"
    assert old.lead().position > reign
    with old.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))


def test_a_leader_without_a_quorum_does_not_say_that_it_leads(ensemble: MemoryEnsemble) -> None:
    store = ensemble.open("one:1", heartbeat=NEVER)
    store.lead()
    ensemble.logs[0].arm("no-quorum", times=-1)
    with pytest.raises(LogUnavailable, match="proving that this replica leads"):
        store.lead(timeout=0.05)


def test_a_log_that_is_closed_under_a_store_is_told_as_such(ensemble: MemoryEnsemble) -> None:
    store = ensemble.open("one:1")
    store.wait_caught_up()
    store.log.close()
    assert store.wait_state_change(State.STANDBY) is State.FAILED
    assert "the log was closed" in store.status().reason
    with pytest.raises(StoreClosed, match="close the store and open it again"):
        store.wait_for(1_000_000)
