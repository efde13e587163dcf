"""A master that will not have the framework: said once, clearly, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from memory_stores import MemoryEnsemble
from mesos_cluster import mesos_cluster
from schedulers import Make, Watched, wait, wait_running
from sqlalchemy import text

from aurora_store import Store
from aurora_store.dev import MesosCluster
from aurora_store.errors import FrameworkRemoved, RegistrationRefused
from aurora_store.framework import Framework, FrameworkState


def removed(cluster: MesosCluster, framework_id: str | None) -> bool:
    """Whether the master has removed a framework."""
    every = cluster.get("/state")["completed_frameworks"]
    return any(each["id"] == framework_id for each in every)


def subscriptions(store: Store) -> int:
    """How often somebody was about to subscribe."""
    with store.read() as connection:
        return int(
            connection.execute(
                text("SELECT sum(subscriptions) FROM aurora_store_framework")
            ).scalar()
        )


@pytest.fixture
def dead(store: Store, make: Make, cluster: MesosCluster) -> Callable[..., Framework]:
    """Frameworks on a store whose framework the master has removed after its failover timeout."""
    info = {"failover_timeout": 0.5}
    framework = make(store, Watched(), info=info)
    framework.start()
    framework.wait_active()
    wait_running(store, "instance-0-0")
    framework_id = framework.status.framework_id
    framework.close()
    wait(lambda: removed(cluster, framework_id), "the master removes it")
    return lambda **options: make(store, Watched(), info=info, **options)


def test_framework_that_was_removed_ends_with_the_step_to_take(
    dead: Callable[..., Framework], store: Store
) -> None:
    framework = dead()
    before = subscriptions(store)
    framework.start()
    with pytest.raises(FrameworkRemoved) as caught:
        framework.wait_active(timeout=60.0)
    framework_id = framework.status.framework_id
    assert framework_id is not None
    assert f"has removed the framework {framework_id}" in caught.value.message
    assert caught.value.hint is not None
    assert f"forget={framework_id!r}" in caught.value.hint
    assert caught.value.exit_code == 51
    assert framework.status.state is FrameworkState.FAILED
    assert subscriptions(store) == before + 1


def test_next_candidate_is_told_the_same_and_does_not_loop_either(
    ensemble: MemoryEnsemble, dead: Callable[..., Framework], make: Make, store: Store
) -> None:
    first = dead()
    second = make(ensemble.open("two:2"), Watched(), info={"failover_timeout": 0.5})
    before = subscriptions(store)
    first.start()
    second.start()
    for each in (first, second):
        with pytest.raises(FrameworkRemoved):
            each.wait(60.0)
    assert subscriptions(store) == before + 2


def test_forgotten_id_is_replaced_and_lost_tasks_with_it(
    dead: Callable[..., Framework], store: Store
) -> None:
    old = dead().status.framework_id
    framework = dead(forget=old)
    framework.start()
    framework.wait_active()
    assert framework.status.framework_id not in (None, old)
    wait_running(store, "instance-0-1")


def test_id_to_forget_that_is_not_the_kept_one_changes_nothing(store: Store, make: Make) -> None:
    framework = make(store, Watched())
    framework.start()
    framework.wait_active()
    kept = framework.status.framework_id
    framework.close()
    again = make(store, Watched(), forget="another")
    again.start()
    again.wait_active()
    assert again.status.framework_id == kept


def test_framework_that_is_torn_down_while_it_runs_ends(
    store: Store, make: Make, cluster: MesosCluster
) -> None:
    framework = make(store, Watched())
    framework.start()
    framework.wait_active()
    framework.driver._teardown()
    with pytest.raises(FrameworkRemoved):
        framework.wait(60.0)


def test_framework_whose_credentials_are_wrong_ends(
    store: Store, make: Make, tmp_path: Path
) -> None:
    known = tmp_path / "credentials"
    known.write_text('{"credentials": [{"principal": "right", "secret": "secret"}]}')
    flags = {
        "MESOS_AUTHENTICATE_HTTP_FRAMEWORKS": "true",
        "MESOS_HTTP_FRAMEWORK_AUTHENTICATORS": "basic",
        "MESOS_CREDENTIALS": str(known),
    }
    with mesos_cluster(agents=0, flags=flags) as own:
        wrong = make(store, Watched(), master=own.master, principal="wrong", secret="wrong")
        wrong.start()
        with pytest.raises(RegistrationRefused, match="refuses the framework: HTTP 401"):
            wrong.wait_active()
        right = make(
            store,
            Watched(),
            master=own.master,
            principal="right",
            secret="secret",
            info={"principal": "right"},
        )
        right.start()
        right.wait_active()
        right.close()
