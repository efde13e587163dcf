"""What each store promises, on a real replicated log of one replica."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import recount
from samples import JOB, OTHER_JOB, S, config, docker_config, full_config, task, update
from sqlalchemy import select
from sqlalchemy.orm import Session

from aurora_store import Store
from aurora_store.errors import NotLeader
from aurora_store.libmesos import fetch
from aurora_store.models import (
    Assignment,
    Attribute,
    CountSlaPolicy,
    CronCollisionPolicy,
    HostAttributes,
    HostMaintenanceRequest,
    JobConfiguration,
    JobInstanceUpdateEvent,
    JobKey,
    JobLocked,
    JobUpdateAction,
    JobUpdateEvent,
    JobUpdateKey,
    JobUpdateQuery,
    JobUpdateStatus,
    Lock,
    MaintenanceMode,
    Metadata,
    Quota,
    Range,
    SlaPolicy,
    Stores,
    TaskEvent,
    TaskQuery,
    UnknownUpdate,
    create_schema,
    tables,
)

U = JobUpdateStatus


def _count(stores: Stores, table: str) -> int:
    found = stores.connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
    assert isinstance(found, int)
    return found


# ---- tasks ----


def test_a_task_is_fetched_as_it_was_saved(stores: Stores) -> None:
    saved = task(
        "t",
        S.RUNNING,
        config=full_config(),
        instance=7,
        assignment=Assignment("agent-1", "host-1", {"http": 80, "admin": 81}),
        failures=2,
        times_partitioned=1,
        events=(TaskEvent(1, S.PENDING), TaskEvent(2, S.RUNNING, "ü 'quoted'", "scheduler-1")),
        ancestor="before",
    )
    stores.tasks.save([saved])
    assert stores.tasks.fetch("t") == saved
    assert stores.tasks.fetch("absent") is None


def test_saving_again_replaces(stores: Stores) -> None:
    stores.tasks.save([task("t", assignment=Assignment("a", "h", {"http": 1}))])
    changed = task("t", S.FAILED, config=docker_config(), events=(TaskEvent(9, S.FAILED),))
    stores.tasks.save([changed])
    assert stores.tasks.fetch_tasks(TaskQuery()) == [changed]
    assert (_count(stores, "task_port"), _count(stores, "agent")) == (0, 0)


def test_saving_nothing_changes_nothing(stores: Stores) -> None:
    stores.tasks.save([task("t")])
    stores.tasks.save([])
    assert len(stores.tasks.fetch_tasks(TaskQuery())) == 1


def test_tasks_of_one_configuration_share_its_row(stores: Stores) -> None:
    stores.tasks.save([task(f"t{number}", instance=number) for number in range(50)])
    assert _count(stores, "task_config") == 1
    stores.crons.save_accepted_job(JobConfiguration(JOB, "alice", config(), 1, "* * * * *"))
    stores.updates.save_update(update("u"))
    assert _count(stores, "task_config") == 2  # and the update's desired one


def test_a_configuration_goes_with_its_last_user(stores: Stores) -> None:
    stores.tasks.save([task("t0"), task("t1")])
    stores.crons.save_accepted_job(JobConfiguration(JOB, "alice", config(), 1, "* * * * *"))
    stores.updates.save_update(update("u"))
    for remove in (
        lambda: stores.tasks.delete(["t0"]),
        lambda: stores.tasks.delete(["t1"]),
        lambda: stores.crons.remove_job(JOB),
    ):
        remove()
        assert _count(stores, "task_config") == 2
    stores.updates.remove_updates([JobUpdateKey(JOB, "u")])
    for table in ("task_config", "job", "environment", "role"):
        assert _count(stores, table) == 0, table


def test_tasks_that_swap_their_configurations_keep_them(stores: Stores) -> None:
    one, two = config(), config(priority=9)
    stores.tasks.save([task("a", config=one), task("b", config=two)])
    stores.tasks.save([task("a", config=two), task("b", config=one), task("c", config=one)])
    assert [each.config for each in stores.tasks.fetch_tasks(TaskQuery())] == [two, one, one]
    assert recount.orphans(stores) == {}


def test_tasks_that_move_to_another_job_are_counted_there(stores: Stores) -> None:
    stores.tasks.save([task("a", S.RUNNING)])
    moved = task("a", S.FAILED, config=config(OTHER_JOB))
    stores.tasks.save([moved])
    recount.check(stores, [moved])
    assert recount.orphans(stores) == {}


def test_mutating_gives_what_was_made_of_the_task(stores: Stores) -> None:
    stores.tasks.save([task("t")])
    changed = stores.tasks.mutate("t", lambda before: replace(before, failures=3))
    assert changed == stores.tasks.fetch("t")
    assert changed is not None
    assert changed.failures == 3
    assert stores.tasks.mutate("absent", lambda before: before) is None
    with pytest.raises(ValueError, match="made it other"):
        stores.tasks.mutate("t", lambda before: replace(before, id="other"))


def test_there_are_no_job_keys_without_tasks(stores: Stores) -> None:
    stores.updates.save_update(update("u"))  # its job has a row, and no task
    assert stores.tasks.job_keys() == []
    assert stores.tasks.job_keys(active=True) == []


def test_deleting_tells_how_many_there_were(stores: Stores) -> None:
    stores.tasks.save([task("a"), task("b")])
    assert stores.tasks.delete(["a", "absent"]) == 1
    stores.tasks.delete_all()
    assert stores.tasks.fetch_tasks(TaskQuery()) == []
    recount.check(stores, [])


def test_every_scope_finds_its_tasks(stores: Stores) -> None:
    there = [
        task("a", instance=0, assignment=Assignment("s1", "h1")),
        task("b", S.RUNNING, instance=1, assignment=Assignment("s1", "h1")),
        task("c", S.FAILED, instance=0, assignment=Assignment("s2", "h2")),
        task("d", config=config(OTHER_JOB)),
    ]
    stores.tasks.save(there)
    query = TaskQuery
    for scope, names in (
        (query.unscoped(), "abcd"),
        (query.role_scoped("www-data"), "abcd"),
        (query.role_scoped("nobody"), ""),
        (query(role=""), "abcd"),
        (query.environment_scoped("www-data", "prod"), "abc"),
        (query.job_scoped(JOB), "abc"),
        (query.job_scoped(JOB, OTHER_JOB), "abcd"),
        (query.instance_scoped(JOB, 0), "ac"),
        (query.instance_scoped(there[1].key), "b"),
        (query.task_scoped("a", "c", "absent"), "ac"),
        (query.host_scoped("h1"), "ab"),
        (query.status_scoped(S.FAILED), "c"),
        (query.job_scoped(JOB).active(), "ab"),
        (query.unscoped().terminal(), "c"),
        (query.host_scoped("h1").by_status(S.RUNNING), "b"),
        (query(offset=1, limit=2), "bc"),
    ):
        assert "".join(each.id for each in stores.tasks.fetch_tasks(scope)) == names, scope


def test_pages_neither_repeat_nor_miss_when_tasks_come_and_go(stores: Stores) -> None:
    stores.tasks.save([task(f"t{number}") for number in range(6)])
    first = stores.tasks.fetch_page(TaskQuery(limit=2))
    assert [each.id for each in first.tasks] == ["t0", "t1"]
    stores.tasks.delete(["t0", "t1", "t2"])
    stores.tasks.save([task("t9")])
    second = stores.tasks.fetch_page(TaskQuery(limit=3), after=first.next)
    assert [each.id for each in second.tasks] == ["t3", "t4", "t5"]
    third = stores.tasks.fetch_page(TaskQuery(limit=3), after=second.next)
    assert ([each.id for each in third.tasks], third.next) == (["t9"], None)


def test_thousands_of_names_travel_in_one_query(stores: Stores) -> None:
    names = [f"t{number}" for number in range(40_000)]
    stores.tasks.save([task(name) for name in names[:10]])
    assert len(stores.tasks.fetch_tasks(TaskQuery.task_scoped(*names))) == 10


def test_counts_are_right_whoever_writes(stores: Stores) -> None:
    saved = [task(name, S.RUNNING, config=full_config()) for name in "abc"]
    stores.tasks.save(saved)
    with Session(bind=stores.connection, join_transaction_mode="create_savepoint") as session:
        row = session.scalars(select(tables.TaskRow).where(tables.TaskRow.task_id == "a")).one()
        assert row.job.role.name == "www-data"
        assert [event.status for event in row.events] == [S.RUNNING]
        row.status = S.LOST
        session.delete(session.scalars(select(tables.TaskRow).filter_by(task_id="b")).one())
        session.commit()
    recount.check(stores, [replace(saved[0], status=S.LOST), saved[2]])
    stores.connection.exec_driver_sql("DELETE FROM task")
    recount.check(stores, [])
    assert recount.orphans(stores) == {}


# ---- cron jobs ----


def test_cron_jobs_are_kept_by_their_keys(stores: Stores) -> None:
    job = JobConfiguration(
        JOB, "alice", full_config(), 3, "0 * * * *", CronCollisionPolicy.RUN_OVERLAP
    )
    other = JobConfiguration(OTHER_JOB, "bob", config(OTHER_JOB), 1)
    assert stores.crons.fetch_job(JOB) is None
    stores.crons.save_accepted_job(job)
    stores.crons.save_accepted_job(other)
    assert (stores.crons.fetch_job(JOB), len(stores.crons.fetch_jobs())) == (job, 2)
    changed = replace(job, config=config(), instance_count=5)
    stores.crons.save_accepted_job(changed)
    assert stores.crons.fetch_job(JOB) == changed
    assert recount.orphans(stores) == {}
    stores.crons.remove_job(JOB)
    stores.crons.remove_job(JobKey("not", "there", "ever"))
    assert list(stores.crons.fetch_jobs()) == [other]
    stores.crons.delete_jobs()
    assert (list(stores.crons.fetch_jobs()), list(stores.counts.roles())) == ([], [])


# ---- updates ----


def test_an_update_is_fetched_as_it_was_saved(stores: Stores) -> None:
    saved = update("u", metadata=frozenset({Metadata("k", "v"), Metadata("k", "w")}))
    stores.updates.save_update(saved)
    details = stores.updates.fetch_update(saved.key)
    assert details is not None
    assert details.update == saved
    assert stores.updates.fetch_instructions(saved.key) == saved.instructions
    assert details.summary.status is None
    assert stores.updates.fetch_update(JobUpdateKey(JOB, "absent")) is None
    assert stores.updates.fetch_instructions(JobUpdateKey(JOB, "absent")) is None


def test_an_updates_summary_follows_its_events(stores: Stores) -> None:
    saved = update("u")
    stores.updates.save_update(saved)
    stores.updates.save_event(saved.key, JobUpdateEvent(U.ROLLING_FORWARD, 100, "alice", "go"))
    stores.updates.save_instance_event(
        saved.key, JobInstanceUpdateEvent(1, 150, JobUpdateAction.INSTANCE_UPDATING)
    )
    (summary,) = stores.updates.fetch_summaries(JobUpdateQuery())
    assert (summary.status, summary.created_ms, summary.modified_ms) == (
        U.ROLLING_FORWARD,
        100,
        150,
    )
    stores.updates.save_event(saved.key, JobUpdateEvent(U.ROLLED_FORWARD, 200))
    details = stores.updates.fetch_update(saved.key)
    assert details is not None
    assert (details.summary.status, details.summary.created_ms) == (U.ROLLED_FORWARD, 100)
    assert [each.status for each in details.events] == [U.ROLLING_FORWARD, U.ROLLED_FORWARD]


def test_events_of_one_instance_are_found(stores: Stores) -> None:
    saved = update("u")
    stores.updates.save_update(saved)
    events = [
        JobInstanceUpdateEvent(number % 3, number, JobUpdateAction.INSTANCE_UPDATED, str(number))
        for number in range(9)
    ]
    stores.updates.save_instance_events(saved.key, events)
    assert stores.updates.fetch_instance_events(saved.key, 1) == tuple(events[1::3])
    assert stores.updates.fetch_instance_events(saved.key, 5) == ()


def test_an_event_of_an_unknown_update_is_refused(stores: Stores) -> None:
    key = JobUpdateKey(JOB, "absent")
    with pytest.raises(UnknownUpdate, match="there is no www-data/prod/hello update absent"):
        stores.updates.save_event(key, JobUpdateEvent(U.ERROR, 1))
    with pytest.raises(UnknownUpdate):
        stores.updates.save_instance_event(
            key, JobInstanceUpdateEvent(0, 1, JobUpdateAction.INSTANCE_UPDATED)
        )


def test_updates_of_the_same_name_are_of_different_jobs(stores: Stores) -> None:
    stores.updates.save_update(update("u"))
    stores.updates.save_update(update("u", OTHER_JOB, user="bob"))
    found = stores.updates.fetch_update(JobUpdateKey(OTHER_JOB, "u"))
    assert found is not None
    assert found.update.user == "bob"
    assert len(stores.updates.fetch_updates(JobUpdateQuery())) == 2


def test_saving_an_update_again_keeps_its_events(stores: Stores) -> None:
    saved = update("u")
    stores.updates.save_update(saved)
    stores.updates.save_event(saved.key, JobUpdateEvent(U.ROLLING_FORWARD, 1))
    narrow = replace(
        saved.instructions,
        settings=replace(
            saved.instructions.settings, only_these_instances=frozenset({Range(0, 0)})
        ),
    )
    stores.updates.save_update(replace(saved, user="bob", instructions=narrow))
    details = stores.updates.fetch_update(saved.key)
    assert details is not None
    assert (details.update.user, details.update.instructions) == ("bob", narrow)
    assert len(details.events) == 1


def test_updates_are_paged_in_a_stable_order(stores: Stores) -> None:
    for number in range(5):
        stores.updates.save_update(update(f"u{number}"))
        # Two of the same moment: their order is still the same each time.
        key = JobUpdateKey(JOB, f"u{number}")
        stores.updates.save_event(key, JobUpdateEvent(U.ROLLING_FORWARD, 10 + number // 2))
    query = JobUpdateQuery(role="www-data", user="alice", statuses=frozenset({U.ROLLING_FORWARD}))
    wanted = [each.key.id for each in stores.updates.fetch_summaries(query)]
    assert wanted == ["u4", "u3", "u2", "u1", "u0"]
    found, after = [], None
    while True:
        page = stores.updates.fetch_page(replace(query, limit=2), after=after)
        found += [each.key.id for each in page.summaries]
        if (after := page.next) is None:
            break
    assert found == wanted
    part = stores.updates.fetch_summaries(replace(query, offset=1, limit=2))
    assert [each.key.id for each in part] == wanted[1:3]
    assert list(stores.updates.fetch_summaries(JobUpdateQuery(user="bob"))) == []


def test_removing_updates_removes_all_that_is_theirs(stores: Stores) -> None:
    for name in ("u1", "u2"):
        stores.updates.save_update(update(name))
        stores.updates.save_event(JobUpdateKey(JOB, name), JobUpdateEvent(U.ABORTED, 1))
    stores.updates.remove_updates([JobUpdateKey(JOB, "u1"), JobUpdateKey(JOB, "absent")])
    assert [each.key.id for each in stores.updates.fetch_summaries(JobUpdateQuery())] == ["u2"]
    stores.updates.delete_all()
    assert (_count(stores, "job_update_event"), _count(stores, "role")) == (0, 0)


# ---- quotas, hosts, the scheduler ----


def test_quotas_are_kept_by_role(stores: Stores) -> None:
    stores.quotas.save("www-data", Quota(1.5, 2, 3))
    stores.quotas.save("other", Quota(0, 0, 0))
    stores.quotas.save("www-data", Quota(2, 2, 3))
    assert stores.quotas.fetch("www-data") == Quota(2.0, 2, 3)
    assert stores.quotas.fetch("absent") is None
    stores.quotas.remove("other")
    assert stores.quotas.fetch_all() == {"www-data": Quota(2.0, 2, 3)}
    stores.quotas.delete_all()
    assert stores.quotas.fetch_all() == {}
    with pytest.raises(ValueError, match="role is one or more letters"):
        stores.quotas.save("a/b", Quota(1, 1, 1))


def test_attributes_that_are_the_same_are_not_written(libmesos_store: Store) -> None:
    given = HostAttributes("s1", "h1", attributes=frozenset({Attribute("rack", frozenset("ab"))}))
    with libmesos_store.begin() as connection:
        assert Stores(connection).attributes.save(given)
    before = libmesos_store.status().transactions
    with libmesos_store.begin() as connection:
        assert not Stores(connection).attributes.save(given)
    assert libmesos_store.status().transactions == before
    with libmesos_store.begin() as connection:
        assert Stores(connection).attributes.save(replace(given, mode=MaintenanceMode.DRAINING))
        Stores(connection).attributes.delete_all()


def test_a_host_that_comes_back_as_another_agent_is_two(stores: Stores) -> None:
    old, new = HostAttributes("s1", "h1"), HostAttributes("s2", "h1", MaintenanceMode.SCHEDULED)
    stores.attributes.save(old)
    stores.attributes.save(new)
    assert stores.attributes.fetch("s1") == old
    assert list(stores.attributes.fetch_host("h1")) == [new, old]
    stores.attributes.remove(["s1"])
    assert list(stores.attributes.fetch_all()) == [new]
    assert stores.attributes.fetch("s1") is None


def test_maintenance_is_kept_by_host(stores: Stores) -> None:
    request = HostMaintenanceRequest("h1", SlaPolicy(count=CountSlaPolicy(1, 2)), 3, 4)
    stores.maintenance.save(request)
    stores.maintenance.save(replace(request, timeout_secs=9))
    assert stores.maintenance.fetch("h1") == replace(request, timeout_secs=9)
    stores.maintenance.remove("h1")
    assert stores.maintenance.fetch("h1") is None
    stores.maintenance.save(request)
    stores.maintenance.delete_all()
    assert list(stores.maintenance.fetch_all()) == []


def test_the_framework_id_and_details_are_kept(stores: Stores) -> None:
    assert stores.scheduler.fetch_framework_id() is None
    stores.scheduler.save_framework_id("f-1")
    stores.scheduler.save_metadata({"build": "1.2"})
    stores.scheduler.save_framework_id("f-2")
    assert stores.scheduler.fetch_metadata() == {"build": "1.2", "framework_id": "f-2"}
    assert stores.scheduler.fetch_framework_id() == "f-2"


def test_a_lock_is_of_one_job(stores: Stores) -> None:
    lock = Lock(JOB, "token", "alice", 5, "deploying")
    stores.locks.save(lock)
    assert stores.locks.fetch(JOB) == lock
    assert stores.locks.fetch(OTHER_JOB) is None
    stores.locks.save(replace(lock, user="bob"))
    assert [each.user for each in stores.locks.fetch_all()] == ["bob"]
    stores.locks.remove(JOB)
    assert _count(stores, "job") == 0
    stores.locks.save(lock)
    stores.locks.delete_all()
    assert list(stores.locks.fetch_all()) == []


def test_a_job_that_is_locked_is_not_locked_again(stores: Stores) -> None:
    held = Lock(JOB, "token", "alice", 0, "update u")
    stores.locks.acquire(held)
    said = rf"^{JOB} is locked by alice since 1970-01-01T00:00:00\+00:00 \(update u\).*abort"
    with pytest.raises(JobLocked, match=said):
        stores.locks.acquire(Lock(JOB, "other", "bob", 1))
    stores.locks.acquire(Lock(OTHER_JOB, "other", "bob", 1))
    assert stores.locks.fetch(JOB) == held
    stores.locks.remove(JOB)
    stores.locks.acquire(Lock(JOB, "third", "bob", 1))


def test_only_the_holder_of_the_lock_changes_a_job(stores: Stores) -> None:
    stores.locks.check(JOB, None)
    with pytest.raises(JobLocked, match="not locked any more"):
        stores.locks.check(JOB, "token")
    stores.locks.acquire(Lock(JOB, "token", "alice", 0))
    stores.locks.check(JOB, "token")
    for token in (None, "other"):
        with pytest.raises(JobLocked, match="locked by alice"):
            stores.locks.check(JOB, token)


def test_an_update_is_saved_with_the_lock_of_its_job_or_not_at_all(stores: Stores) -> None:
    given = update("u")
    stores.locks.acquire(Lock(JOB, "token", "alice", 0))
    with pytest.raises(JobLocked):
        stores.updates.save_update(given, lock_token="other")
    assert stores.updates.fetch_update(given.key) is None
    stores.updates.save_update(given, lock_token="token")
    assert stores.updates.fetch_update(given.key) is not None


# ---- durability ----


def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    saved = task("t", S.RUNNING, config=full_config(), assignment=Assignment("s", "h", {"a": 1}))
    with Store.open(tmp_path / "log", libmesos=fetch()) as store:
        store.wait_caught_up()
        store.lead()
        with store.begin() as connection:
            create_schema(connection)
            create_schema(connection)  # what is there stays
            Stores(connection).tasks.save([saved])
        with pytest.raises(RuntimeError), store.begin() as connection:
            Stores(connection).tasks.delete_all()
            raise RuntimeError("the work fails")  # and nothing of it stays
    with Store.open(tmp_path / "log", libmesos=fetch()) as store:
        store.wait_caught_up()
        with store.read() as connection:
            stores = Stores(connection)
            assert list(stores.tasks.fetch_tasks(TaskQuery())) == [saved]
            recount.check(stores, [saved])
            with pytest.raises(NotLeader):
                stores.tasks.delete_all()


def test_all_is_the_same_on_connections_that_enforce_foreign_keys(libmesos_store: Store) -> None:
    connection = libmesos_store.engine.connect()
    try:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys = ON")
        stores = Stores(connection)
        stores.tasks.save([task("a", S.RUNNING, assignment=Assignment("s", "h", {"p": 1}))])
        stores.updates.save_update(update("u"))
        stores.updates.save_event(JobUpdateKey(JOB, "u"), JobUpdateEvent(U.ABORTED, 1))
        stores.tasks.save([task("a", S.FAILED, config=config(OTHER_JOB))])
        stores.tasks.delete_all()
        stores.updates.delete_all()
        assert recount.orphans(stores) == {}
        recount.check(stores, [])
    finally:
        connection.rollback()
        connection.invalidate()  # the setting stays with the connection
        connection.close()
