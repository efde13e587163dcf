"""A store of one replica with something of everything: written by a release, read by later ones."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import recount
from samples import JOB, OTHER_JOB, S, config, docker_config, full_config, update

from aurora_store import Store, events, models, new_token
from aurora_store.errors import AlreadyCommitted, TokenRefused
from aurora_store.events import Events
from aurora_store.framework.registration import Registration
from aurora_store.log.files import Kind as ActionKind
from aurora_store.log.files import ReplicaDirectory
from aurora_store.migrations import Schema
from aurora_store.models import (
    Attribute,
    CronCollisionPolicy,
    ExecutorConfig,
    HostAttributes,
    HostMaintenanceRequest,
    JobConfiguration,
    JobInstanceUpdateEvent,
    JobKey,
    JobUpdateAction,
    JobUpdateEvent,
    JobUpdateQuery,
    JobUpdateStatus,
    Lock,
    MaintenanceMode,
    PercentageSlaPolicy,
    Quota,
    SlaPolicy,
    StateManager,
    Stores,
    TaskQuery,
)
from aurora_store.record import Kind, PageChange, changed_pages, read_record

_NAME = "golden"  # of the subscriber, and of the framework
_LIMIT_S = 60.0
_store: Store | None = None


def _opened() -> Store:
    assert _store is not None
    return _store


def lead(directory: str, **options: Any) -> None:
    """Opens the store with the schema of this release, and leads: it migrates."""
    global _store
    schema = Schema(models.REVISIONS, events.REVISIONS, software=_NAME)
    _store = Store.open(directory, host=_NAME, schema=schema, maintenance=None, **options)
    _store.wait_caught_up()
    _store.lead()


def close() -> None:
    """Steps down, so that all is on the disk."""
    _opened().step_down()
    _opened().close()


# ---- writing ----


def write(directory: str) -> dict[str, Any]:
    """Makes a log with every kind of record, and a database with something in each table.

    Returns what later releases must find: see `read`.
    """
    lead(directory, heartbeat=0.05, entry_limit=16384)
    store = _opened()
    with store.begin() as connection:
        Events(store).add_subscriber(connection, _NAME)
    _write_tasks(store)
    store.truncate(store.snapshot(timeout=_LIMIT_S).position)
    store.step_down()
    store.lead()
    _write_the_rest(store)
    _write_a_large_transaction(store)
    registration = Registration(store, _NAME)
    registration.prepare()
    registration.claim()
    registration.save("golden-framework-0001")
    committed, refused = new_token(), new_token()
    with store.begin(token=committed) as connection:
        Events(store).publish(connection, "golden", {"token": "ü"})
    store.outcome(refused)
    store.snapshot(timeout=_LIMIT_S)
    with store.read() as connection:
        told = Events(store).read(connection, after=0)
    Events(store).save(_NAME, told[len(told) // 2].id)
    _wait_for_a_heartbeat(store)
    found = {"tokens": {committed: "committed", refused: "not_committed"}}
    found |= read(list(found["tokens"]))
    close()
    _check_kinds(Path(directory))
    return found


def _write_tasks(store: Store) -> None:
    now = 1_700_000_000_000

    def clock() -> int:
        nonlocal now
        now += 1000
        return now

    with store.begin() as connection:
        manager = StateManager(Stores(connection), scheduler=_NAME, clock=clock)
        first, second, third, _ = manager.insert_pending(full_config(), range(4))
        (other,) = manager.insert_pending(docker_config(OTHER_JOB), [0])
    with store.begin() as connection:
        manager = StateManager(Stores(connection), scheduler=_NAME, clock=clock)
        for task in (first, second):
            manager.assign(task, "host-1", "agent-1", {"http": 31000, "admin": 31001})
            manager.change_state(task, S.STARTING)
            manager.change_state(task, S.RUNNING, message="ü 'quoted'")
        manager.change_state(second, S.FAILED)  # of a service: a successor waits
        manager.change_state(third, S.KILLING)
        manager.assign(other, "host-2", "agent-2")


def _write_the_rest(store: Store) -> None:
    policy = SlaPolicy(percentage=PercentageSlaPolicy(95.0, 1800))
    locked = JobKey("www-data", "test", "locked")
    with store.begin() as connection:
        stores = Stores(connection)
        stores.quotas.save("www-data", Quota(12.5, 1024, 4096))
        stores.attributes.save(
            HostAttributes(
                "agent-1",
                "host-1",
                MaintenanceMode.DRAINING,
                frozenset({Attribute("rack", frozenset({"a", "ü"}))}),
            )
        )
        stores.maintenance.save(HostMaintenanceRequest("host-1", policy, 600, 1_700_000_000_000))
        stores.scheduler.save_framework_id("model-framework-0001")
        stores.scheduler.save_metadata({"cell": "golden"})
        stores.crons.save_accepted_job(
            JobConfiguration(
                JOB, "alice", full_config(), 3, "0 * * * *", CronCollisionPolicy.RUN_OVERLAP
            )
        )
        saved = update("u-1")
        stores.updates.save_update(saved)
        stores.updates.save_event(
            saved.key, JobUpdateEvent(JobUpdateStatus.ROLLING_FORWARD, 100, "alice", "go")
        )
        stores.updates.save_instance_event(
            saved.key, JobInstanceUpdateEvent(1, 150, JobUpdateAction.INSTANCE_UPDATING, "first")
        )
        stores.locks.acquire(Lock(locked, "lock-1", "bob", 1_700_000_000_000, "by hand"))


def _write_a_large_transaction(store: Store) -> None:
    """Does not fit into one entry."""
    noise = random.Random(1)
    with store.begin() as connection:
        manager = StateManager(Stores(connection), clock=lambda: 1_700_000_100_000)
        for number in range(3):
            data = ExecutorConfig("AuroraExecutor", noise.randbytes(4000).hex())
            job = JobKey("golden", "prod", f"large-{number}")
            manager.insert_pending(config(job, executor=data), range(2))


def _wait_for_a_heartbeat(store: Store) -> None:
    """One is the newest entry soon, as nobody writes."""
    end = time.monotonic() + _LIMIT_S
    while time.monotonic() < end:
        position = store.position
        if read_record(store.log.read(position, position)[-1].data).kind is Kind.HEARTBEAT:
            return
        time.sleep(0.01)
    raise TimeoutError(f"no heartbeat within {_LIMIT_S:g} s")


def _check_kinds(directory: Path) -> None:
    """A log without some kind of record would not show that it can still be read."""
    entries = list(ReplicaDirectory.read(directory).entries())
    there = {read_record(each.data).kind for each in entries if each.kind is ActionKind.APPEND}
    assert there == set(Kind), f"missing: {set(Kind) - there}"
    patched = [
        each
        for each in entries
        if each.kind is ActionKind.APPEND and read_record(each.data).kind is Kind.BATCH
        if any(page.change is PageChange.PATCH for page in changed_pages(each.data))
    ]
    assert patched, "no batch has patches"
    assert any(each.truncate_to is not None for each in entries), "nothing was truncated"
    assert entries[0].position > 0, "nothing was forgotten"


# ---- reading ----


def read(tokens: Sequence[str]) -> dict[str, Any]:
    """All that there is, after a look at what the database counts. The replica leads."""
    store = _opened()
    with store.read() as connection:
        stores = Stores(connection)
        tasks = stores.tasks.fetch_tasks(TaskQuery())
        crons = stores.crons.fetch_jobs()
        recount.check(stores, tasks, [each.key for each in crons])
        assert recount.orphans(stores) == {}
        found = {
            "tasks": tasks,
            "cron_jobs": crons,
            "updates": stores.updates.fetch_updates(JobUpdateQuery()),
            "quotas": stores.quotas.fetch_all(),
            "attributes": stores.attributes.fetch_all(),
            "maintenance": stores.maintenance.fetch_all(),
            "locks": stores.locks.fetch_all(),
            "model_framework_id": stores.scheduler.fetch_framework_id(),
            "metadata": stores.scheduler.fetch_metadata(),
        }
        cursor = Events(store).newest(connection) - Events(store).backlog()[_NAME]
        found["cursor"] = cursor
        found["events"] = Events(store).read(connection, after=cursor)
    found["framework_id"] = Registration(store, _NAME).read()
    found["tokens"] = {token: store.outcome(token).value for token in tokens}
    plain: dict[str, Any] = _plain(found)
    return plain


def use_again(token: str) -> str:
    """Runs a transaction with a token that was used; returns how it was refused."""
    try:
        with _opened().begin(token=token):
            raise AssertionError("it was run")
    except (AlreadyCommitted, TokenRefused) as exc:
        return type(exc).__name__


def standing() -> str:
    """How this release stands to the database."""
    migrator = _opened().migrator
    assert migrator is not None
    return migrator.verdict().standing.value


def applied() -> list[str]:
    """The revisions that the database has."""
    migrator = _opened().migrator
    assert migrator is not None
    return list(migrator.journal().applied)


def _plain(value: Any) -> Any:
    """As JSON can hold it; sets are sorted."""
    if isinstance(value, Enum):
        return value.name
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Set):
        return sorted(map(_plain, value), key=repr)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(each) for each in value]
    assert value is None or isinstance(value, str | int | float), value
    return value
