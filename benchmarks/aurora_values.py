"""Tasks and updates as the generators of Aurora's storage benchmarks make them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from aurora_store.models import (
    Assignment,
    Constraint,
    Container,
    DockerContainer,
    DockerParameter,
    ExecutorConfig,
    FetcherUri,
    InstanceTaskConfig,
    JobInstanceUpdateEvent,
    JobKey,
    JobUpdate,
    JobUpdateAction,
    JobUpdateEvent,
    JobUpdateInstructions,
    JobUpdateKey,
    JobUpdateSettings,
    JobUpdateStatus,
    LimitConstraint,
    Metadata,
    PercentageSlaPolicy,
    Range,
    Resources,
    ScheduledTask,
    ScheduleStatus,
    SlaPolicy,
    TaskConfig,
    TaskEvent,
    ValueConstraint,
)

JOB = JobKey("jmh", "dev", "benchmark")


def config(job: JobKey = JOB, data: str = "config") -> TaskConfig:
    """6 processors, 8 GB, 128 GB, and something of everything else."""
    return TaskConfig(
        job,
        "user",
        Resources(6.0, 8 * 1024, 128 * 1024),
        constraints=frozenset(
            {
                Constraint("value", value=ValueConstraint(frozenset({"x", "y"}))),
                Constraint("limit", limit=LimitConstraint(5)),
            }
        ),
        task_links={"http": "link", "admin": "otherLink"},
        contact_email="foo@bar.com",
        executor=ExecutorConfig("AuroraExecutor", data),
        metadata=frozenset({Metadata("key", "value")}),
        fetcher_uris=frozenset(
            FetcherUri(f"pathA{each}", extract=True, cache=True) for each in (1, 2)
        ),
        container=Container(
            docker=DockerContainer(
                "imagename", (DockerParameter("a", "b"), DockerParameter("c", "d"))
            )
        ),
        sla_policy=SlaPolicy(percentage=PercentageSlaPolicy(95.0, 1800)),
    )


def tasks(
    count: int, status: ScheduleStatus, job: JobKey = JOB, *, hosts: int = 1000
) -> Iterator[ScheduledTask]:
    """Two events each; one configuration."""
    shared = config(job)
    for instance in range(count):
        yield ScheduledTask(
            f"{job.role}-{job.environment}-{instance}-{uuid.uuid4()}",
            shared,
            instance,
            status,
            Assignment(f"agent-{instance % hosts}", f"host-{instance % hosts}.example.org"),
            events=(
                TaskEvent(1_700_000_000_000, ScheduleStatus.PENDING, None, "scheduler"),
                TaskEvent(1_700_000_000_100, status, None, "scheduler"),
            ),
        )


def update(name: str, *, overrides: int = 1, metadata: int = 10) -> JobUpdate:
    """10,000 characters for the executor; groups of 100."""
    before, after = config(data="a" * 10_000), config(data="b" * 10_000)
    ranges = frozenset(Range(2 * each, 2 * each) for each in range(overrides))
    return JobUpdate(
        JobUpdateKey(JOB, name),
        "user",
        JobUpdateInstructions(
            frozenset({InstanceTaskConfig(before, frozenset({Range(0, 10)}))}),
            InstanceTaskConfig(after, frozenset({Range(0, 10)})),
            JobUpdateSettings(update_group_size=100, only_these_instances=ranges),
        ),
        frozenset(Metadata(f"key-{each}", f"value-{each}") for each in range(metadata)),
    )


UPDATE_EVENT = JobUpdateEvent(JobUpdateStatus.ROLLING_FORWARD, 1_700_000_000_000)


def instance_events(count: int) -> list[JobInstanceUpdateEvent]:
    """Of an update."""
    action = JobUpdateAction.INSTANCE_UPDATING
    return [JobInstanceUpdateEvent(each % 100, 1_700_000_000_000, action) for each in range(count)]
