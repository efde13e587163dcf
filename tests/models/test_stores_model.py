"""Every store beside a plain Python model: random operations, with failovers in between.

What the stores tell of it is put together by somebody who hears nothing else, and is the same.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import recount
from audience import Audience
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from memory_stores import MemoryEnsemble
from samples import S, config, full_config, update

from aurora_store.errors import LeadershipLost, NotLeader
from aurora_store.events import Events
from aurora_store.models import (
    ACTIVE_STATES,
    TRANSITIONS,
    Assignment,
    Attribute,
    CountSlaPolicy,
    CronCollisionPolicy,
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
    Quota,
    ScheduledTask,
    ScheduleStatus,
    SlaPolicy,
    StateChangeRequest,
    StateChangeResult,
    StateManager,
    Stores,
    TaskEvent,
    TaskQuery,
    create_schema,
)

JOBS = [JobKey(role, env, name) for role in "ab" for env in "pd" for name in "xy"]
ROLES = ["a", "b", "c"]
HOSTS = ["h1", "h2"]
NAMES = [f"t{number}" for number in range(8)]
UPDATES = [update(name, job) for name in ("u1", "u2") for job in JOBS[:3]]

jobs = st.sampled_from(JOBS)
small = st.integers(0, 4)
configs = st.builds(
    lambda job, kind: {0: config(job), 1: config(job, priority=1), 2: full_config(job)}[kind],
    jobs,
    st.integers(0, 2),
)
statuses = st.sampled_from(ScheduleStatus)
assignments = st.none() | st.builds(
    Assignment,
    st.sampled_from(["agent-1", "agent-2"]),
    st.sampled_from(HOSTS),
    st.dictionaries(st.sampled_from(["http", "admin"]), st.integers(1, 9)),
)
events = st.lists(
    st.builds(TaskEvent, small, statuses, st.none() | st.just("why"), st.none()), max_size=4
).map(tuple)
tasks = st.builds(
    ScheduledTask,
    st.sampled_from(NAMES),
    configs,
    small,
    statuses,
    assignments,
    small,
    small,
    events,
    st.none() | st.sampled_from(NAMES),
)
queries = st.builds(
    TaskQuery,
    role=st.none() | st.sampled_from(["a", "b", "nobody"]),
    environment=st.none() | st.sampled_from("pd"),
    job_name=st.none() | st.sampled_from("xy"),
    task_ids=st.sets(st.sampled_from([*NAMES, "absent"]), max_size=3),
    statuses=st.sampled_from([set(), {S.PENDING}, {S.RUNNING, S.FAILED}, ACTIVE_STATES]),
    instances=st.sets(small, max_size=2),
    hosts=st.sets(st.sampled_from([*HOSTS, "h3"]), max_size=2),
    jobs=st.sets(jobs, max_size=2),
    offset=st.integers(0, 3),
    limit=st.none() | st.integers(0, 3),
)


def matches(query: TaskQuery, task: ScheduledTask) -> bool:
    """The filter, as Aurora's: what is empty restricts nothing."""
    host = task.assignment.host if task.assignment else None
    return (
        query.role in (None, task.job.role)
        and query.environment in (None, task.job.environment)
        and query.job_name in (None, task.job.name)
        and (not query.task_ids or task.id in query.task_ids)
        and (not query.statuses or task.status in query.statuses)
        and (not query.instances or task.instance in query.instances)
        and (not query.hosts or host in query.hosts)
        and (not query.jobs or task.job in query.jobs)
    )


class StoresBesideModel(RuleBasedStateMachine):
    """Two replicas; the model is dictionaries, and never fails over."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        ensemble = MemoryEnsemble(self.stack)
        self.replicas = [ensemble.open("one", heartbeat=0.0), ensemble.open("two", heartbeat=0.0)]
        self.clock = 100
        self.tasks: dict[str, ScheduledTask] = {}  # in the order in which they were made
        self.crons: dict[JobKey, JobConfiguration] = {}
        self.quotas: dict[str, Quota] = {}
        self.attributes: dict[str, HostAttributes] = {}
        self.maintenance: dict[str, HostMaintenanceRequest] = {}
        self.locks: dict[JobKey, Lock] = {}
        self.framework: str | None = None
        self.updates: dict[Any, Any] = {}
        self.audience = Audience()

    def teardown(self) -> None:
        self.stack.close()

    @initialize()
    def begin(self) -> None:
        self.replicas[0].wait_caught_up()
        self.replicas[0].lead()
        with self.replicas[0].begin() as connection:
            create_schema(connection)
            Events(self.replicas[0]).add_subscriber(connection, "audience")

    # ---- replicas ----

    @rule()
    def forget_what_was_heard(self) -> None:
        Events(self.replicas[0]).save("audience", self.audience.cursor)

    @rule()
    def fail_over(self) -> None:
        deposed, leader = self.replicas
        leader.lead()
        with pytest.raises((LeadershipLost, NotLeader)), deposed.begin() as connection:
            Stores(connection).tasks.save([ScheduledTask("lost", config(JOBS[0]), 0)])
        self.replicas.reverse()

    def write(self, work: Any) -> Any:
        with self.replicas[0].begin() as connection:
            return work(Stores(connection))

    def read(self, work: Any) -> Any:
        with self.replicas[0].read() as connection:
            return work(Stores(connection))

    # ---- tasks ----

    @rule(given=st.lists(tasks, max_size=4))
    def save_tasks(self, given: list[ScheduledTask]) -> None:
        self.write(lambda stores: stores.tasks.save(given))
        self.tasks |= {each.id: each for each in given}

    @rule(name=st.sampled_from(NAMES), status=statuses)
    def mutate_task(self, name: str, status: ScheduleStatus) -> None:
        def change(task: ScheduledTask) -> ScheduledTask:
            event = TaskEvent(self.clock, status)
            return replace(task, status=status, events=(*task.events, event))

        changed = self.write(lambda stores: stores.tasks.mutate(name, change))
        assert (changed is not None) == (name in self.tasks)
        if changed is not None:
            self.tasks[name] = change(self.tasks[name])

    @rule(names=st.sets(st.sampled_from(NAMES), max_size=3))
    def delete_tasks(self, names: set[str]) -> None:
        gone = self.write(lambda stores: stores.tasks.delete(names))
        assert gone == len(names & self.tasks.keys())
        self.tasks = {name: each for name, each in self.tasks.items() if name not in names}

    @rule(query=queries)
    def query_tasks(self, query: TaskQuery) -> None:
        found = self.read(lambda stores: stores.tasks.fetch_tasks(query))
        wanted = [each for each in self.tasks.values() if matches(query, each)]
        end = None if query.limit is None else query.offset + query.limit
        assert list(found) == wanted[query.offset : end]

    @rule(query=queries, size=st.integers(1, 3))
    def page_through_tasks(self, query: TaskQuery, size: int) -> None:
        query = replace(query, offset=0, limit=size)
        found, after = [], None
        while True:
            page = self.read(lambda stores, a=after: stores.tasks.fetch_page(query, after=a))
            found += page.tasks
            if (after := page.next) is None:
                break
        assert found == [each for each in self.tasks.values() if matches(query, each)]

    @rule(config=configs, instances=st.sets(small, min_size=1, max_size=3))
    def insert_pending(self, config: Any, instances: set[int]) -> None:
        used = {
            each.instance
            for each in self.tasks.values()
            if each.job == config.job and each.status in ACTIVE_STATES
        }
        wanted = sorted(instances - used)
        if wanted and len(self.tasks) < 20:
            names = self.write(lambda stores: self.manager(stores).insert_pending(config, wanted))
            for name, instance in zip(names, wanted, strict=True):
                event = TaskEvent(self.clock, S.PENDING, None, "here")
                self.tasks[name] = ScheduledTask(name, config, instance, S.PENDING, events=(event,))

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def change_states(self, data: st.DataObject) -> None:
        requests = data.draw(
            st.lists(
                st.builds(
                    StateChangeRequest,
                    st.sampled_from(sorted(self.tasks)),
                    statuses,
                    st.none() | statuses,
                ),
                min_size=1,
                max_size=4,
            )
        )
        changes = self.write(lambda stores: self.manager(stores).change_states(requests))
        for request, change in zip(requests, changes, strict=True):
            before = self.tasks.get(request.task_id)
            had = before.status if before else None
            legal = before is not None and request.status in TRANSITIONS[before.status]
            if request.expected is not None and request.expected != had:
                assert change.result is StateChangeResult.INVALID_CAS_STATE
            elif had == request.status:
                assert change.result is StateChangeResult.NOOP
            else:
                assert (change.result is StateChangeResult.SUCCESS) == legal
            if change.result is not StateChangeResult.SUCCESS:
                continue
            assert before is not None
            if change.after is None:
                assert had in (S.PENDING, S.THROTTLED)
                assert request.status is S.KILLING
                del self.tasks[before.id]
                continue
            failures = before.failures + (request.status is S.FAILED)
            self.tasks[before.id] = replace(
                before,
                status=request.status,
                failures=failures,
                times_partitioned=before.times_partitioned + (request.status is S.PARTITIONED),
                events=(*before.events, TaskEvent(self.clock, request.status, None, "here")),
            )
            if change.successor is not None:
                self.tasks[change.successor] = ScheduledTask(
                    change.successor,
                    before.config,
                    before.instance,
                    S.PENDING,
                    failures=failures,
                    events=(TaskEvent(self.clock, S.PENDING, "Rescheduled", "here"),),
                    ancestor=before.id,
                )

    def manager(self, stores: Stores) -> StateManager:
        self.clock += 1
        return StateManager(stores, scheduler="here", clock=lambda: self.clock)

    # ---- the small stores ----

    @rule(config=configs, policy=st.sampled_from(CronCollisionPolicy), count=st.integers(1, 3))
    def save_cron(self, config: Any, policy: CronCollisionPolicy, count: int) -> None:
        job = JobConfiguration(config.job, "alice", config, count, "* * * * *", policy)
        self.write(lambda stores: stores.crons.save_accepted_job(job))
        self.crons[job.key] = job

    @rule(job=jobs)
    def remove_cron(self, job: JobKey) -> None:
        self.write(lambda stores: stores.crons.remove_job(job))
        self.crons.pop(job, None)

    @rule(role=st.sampled_from(ROLES), cpus=small, ram=small)
    def save_quota(self, role: str, cpus: int, ram: int) -> None:
        self.write(lambda stores: stores.quotas.save(role, Quota(cpus, ram, 7)))
        self.quotas[role] = Quota(cpus, ram, 7)

    @rule(role=st.sampled_from(ROLES))
    def remove_quota(self, role: str) -> None:
        self.write(lambda stores: stores.quotas.remove(role))
        self.quotas.pop(role, None)

    @rule(
        agent=st.sampled_from(["s1", "s2", "s3"]),
        host=st.sampled_from(HOSTS),
        mode=st.sampled_from(MaintenanceMode),
        value=st.sampled_from(["r1", "r2"]),
    )
    def save_attributes(self, agent: str, host: str, mode: MaintenanceMode, value: str) -> None:
        attributes = frozenset({Attribute("rack", frozenset({value}))})
        given = HostAttributes(agent, host, mode, attributes)
        changed = self.write(lambda stores: stores.attributes.save(given))
        assert changed == (self.attributes.get(agent) != given)
        self.attributes[agent] = given

    @rule(agent=st.sampled_from(["s1", "s2", "s3"]))
    def remove_attributes(self, agent: str) -> None:
        self.write(lambda stores: stores.attributes.remove([agent]))
        self.attributes.pop(agent, None)

    @rule(host=st.sampled_from(HOSTS), seconds=small)
    def save_maintenance(self, host: str, seconds: int) -> None:
        policy = SlaPolicy(count=CountSlaPolicy(1, seconds))
        request = HostMaintenanceRequest(host, policy, seconds, 5)
        self.write(lambda stores: stores.maintenance.save(request))
        self.maintenance[host] = request

    @rule(host=st.sampled_from(HOSTS))
    def remove_maintenance(self, host: str) -> None:
        self.write(lambda stores: stores.maintenance.remove(host))
        self.maintenance.pop(host, None)

    @rule(job=jobs, time_ms=small)
    def save_lock(self, job: JobKey, time_ms: int) -> None:
        lock = Lock(job, f"token-{job}", "alice", time_ms)
        self.write(lambda stores: stores.locks.save(lock))
        self.locks[job] = lock

    @rule(job=jobs)
    def remove_lock(self, job: JobKey) -> None:
        self.write(lambda stores: stores.locks.remove(job))
        self.locks.pop(job, None)

    @rule(name=st.sampled_from(["f1", "f2"]))
    def save_framework_id(self, name: str) -> None:
        self.write(lambda stores: stores.scheduler.save_framework_id(name))
        self.framework = name

    # ---- updates ----

    @rule(given=st.sampled_from(UPDATES), user=st.sampled_from(["alice", "bob"]))
    def save_update(self, given: Any, user: str) -> None:
        given = replace(given, user=user)
        self.write(lambda stores: stores.updates.save_update(given))
        _, *happened = self.updates.get(given.key, (None, (), ()))
        self.updates[given.key] = (given, *happened)

    @precondition(lambda self: self.updates)
    @rule(data=st.data(), status=st.sampled_from(JobUpdateStatus))
    def save_update_event(self, data: st.DataObject, status: JobUpdateStatus) -> None:
        key = data.draw(st.sampled_from(sorted(self.updates)))
        self.clock += 1
        event = JobUpdateEvent(status, self.clock, None, "why")
        self.write(lambda stores: stores.updates.save_event(key, event))
        given, happened, instances = self.updates[key]
        self.updates[key] = given, (*happened, event), instances

    @precondition(lambda self: self.updates)
    @rule(data=st.data(), instance=small, action=st.sampled_from(JobUpdateAction))
    def save_instance_event(
        self, data: st.DataObject, instance: int, action: JobUpdateAction
    ) -> None:
        key = data.draw(st.sampled_from(sorted(self.updates)))
        self.clock += 1
        event = JobInstanceUpdateEvent(instance, self.clock, action)
        self.write(lambda stores: stores.updates.save_instance_event(key, event))
        given, happened, instances = self.updates[key]
        self.updates[key] = given, happened, (*instances, event)

    @rule(given=st.sampled_from(UPDATES))
    def remove_update(self, given: Any) -> None:
        self.write(lambda stores: stores.updates.remove_updates([given.key]))
        self.updates.pop(given.key, None)

    # ---- what must hold ----

    @invariant()
    def same_as_the_model(self) -> None:
        self.read(self.compare)

    def compare(self, stores: Stores) -> None:
        if not stores.connection.exec_driver_sql(
            "SELECT 1 FROM sqlite_schema WHERE name = 'task'"
        ).first():
            return  # before `begin`
        assert list(stores.tasks.fetch_tasks(TaskQuery())) == list(self.tasks.values())
        recount.check(stores, self.tasks.values(), self.crons)
        assert recount.orphans(stores) == {}
        assert {each.key: each for each in stores.crons.fetch_jobs()} == self.crons
        assert stores.quotas.fetch_all() == self.quotas
        assert {each.agent_id: each for each in stores.attributes.fetch_all()} == self.attributes
        for host in HOSTS:
            there = stores.attributes.fetch_host(host)
            assert {each.agent_id for each in there} == {
                each.agent_id for each in self.attributes.values() if each.host == host
            }
        assert {each.host: each for each in stores.maintenance.fetch_all()} == self.maintenance
        assert {each.job: each for each in stores.locks.fetch_all()} == self.locks
        assert stores.scheduler.fetch_framework_id() == self.framework
        summaries = stores.updates.fetch_summaries(JobUpdateQuery())
        order = [each.modified_ms for each in summaries]
        assert order == sorted(order, reverse=True)
        assert {each.key for each in summaries} == self.updates.keys()
        for key, (given, happened, instances) in self.updates.items():
            details = stores.updates.fetch_update(key)
            assert details is not None
            assert details.update == given
            assert tuple(details.events) == happened
            assert tuple(details.instance_events) == instances
            times = [each.time_ms for each in (*happened, *instances)]
            assert details.summary.status == (happened[-1].status if happened else None)
            assert details.summary.created_ms == (happened[0].time_ms if happened else 0)
            assert details.summary.modified_ms == max(times, default=0)
        self.listen(stores)

    def listen(self, stores: Stores) -> None:
        """The difference between the state of before and this one was told, and no more."""
        heard = self.audience
        heard.hear(Events(self.replicas[0]).read(stores.connection, after=heard.cursor))
        assert heard.tasks == {each.id: each.status for each in self.tasks.values()}
        assert heard.updates == {
            key: happened[-1].status for key, (_, happened, _) in self.updates.items() if happened
        }
        assert heard.instances == {
            key: [(each.instance, each.action) for each in instances]
            for key, (_, _, instances) in self.updates.items()
            if instances
        }
        assert heard.cron_jobs == self.crons.keys()
        assert heard.quotas == self.quotas.keys()
        assert heard.agents == {
            each.agent_id: (each.host, each.mode) for each in self.attributes.values()
        }
        assert heard.maintenance == self.maintenance.keys()


StoresBesideModel.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestStoresBesideModel = StoresBesideModel.TestCase
