"""Values for the tests of the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aurora_store.models import (
    AppcImage,
    Constraint,
    Container,
    DockerContainer,
    DockerParameter,
    ExecutorConfig,
    FetcherUri,
    Image,
    InstanceTaskConfig,
    JobKey,
    JobUpdate,
    JobUpdateInstructions,
    JobUpdateKey,
    JobUpdateSettings,
    LimitConstraint,
    MesosContainer,
    Metadata,
    PartitionPolicy,
    PercentageSlaPolicy,
    Range,
    Resources,
    ScheduledTask,
    ScheduleStatus,
    SlaPolicy,
    TaskConfig,
    TaskEvent,
    ValueConstraint,
    Volume,
    VolumeMode,
)

JOB = JobKey("www-data", "prod", "hello")
OTHER_JOB = JobKey("www-data", "devel", "hello")
S = ScheduleStatus


def config(job: JobKey = JOB, **changes: Any) -> TaskConfig:
    """A small one."""
    return replace(TaskConfig(job, "alice", Resources(1.0, 1024, 4096)), **changes)


def full_config(job: JobKey = JOB) -> TaskConfig:
    """One with every field."""
    return TaskConfig(
        job,
        "alice",
        Resources(0.1, 512, 1024, gpus=2, ports=frozenset({"http", "admin"})),
        is_service=True,
        priority=-3,
        max_task_failures=-1,
        production=True,
        tier="preferred",
        constraints=frozenset(
            {
                Constraint("host", limit=LimitConstraint(1)),
                Constraint("dedicated", value=ValueConstraint(frozenset({"a", "ü"}), True)),
            }
        ),
        fetcher_uris=frozenset({FetcherUri("hdfs://a", True, False, "b")}),
        task_links={"http": "http://%host%", "admin": "http://%host%/admin"},
        contact_email="alice@example.org",
        executor=ExecutorConfig("AuroraExecutor", '{"json": [1, 2]}'),
        metadata=frozenset({Metadata("k", "v"), Metadata("k", "w")}),
        partition_policy=PartitionPolicy(False, 30),
        sla_policy=SlaPolicy(percentage=PercentageSlaPolicy(95.0, 1800)),
        container=Container(
            mesos=MesosContainer(
                Image(appc=AppcImage("app", "sha")), (Volume("/c", "/h", VolumeMode.RO),)
            )
        ),
    )


def docker_config(job: JobKey = JOB) -> TaskConfig:
    """One in Docker."""
    parameters = (DockerParameter("label", "a"), DockerParameter("env", "b"))
    return config(job, container=Container(docker=DockerContainer("python:3", parameters)))


def task(name: str, status: ScheduleStatus = S.PENDING, **changes: Any) -> ScheduledTask:
    """A task whose event tells of its status."""
    changes = {"config": config(), "instance": 0, "events": (TaskEvent(1000, status),)} | changes
    return ScheduledTask(name, status=status, **changes)


def update(name: str, job: JobKey = JOB, **changes: Any) -> JobUpdate:
    """An update of two instances."""
    instructions = JobUpdateInstructions(
        frozenset({InstanceTaskConfig(config(job), frozenset({Range(0, 1)}))}),
        InstanceTaskConfig(config(job, priority=1), frozenset({Range(0, 1)})),
        JobUpdateSettings(update_group_size=2),
    )
    return replace(JobUpdate(JobUpdateKey(job, name), "alice", instructions), **changes)
