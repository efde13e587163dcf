"""Updates of jobs: what is to change, how, and what happened so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aurora_store.models.values import checks
from aurora_store.models.values.config import Metadata, TaskConfig
from aurora_store.models.values.enums import JobUpdateAction, JobUpdateStatus
from aurora_store.models.values.keys import JobUpdateKey, Range

__all__ = [
    "BatchStrategy",
    "InstanceTaskConfig",
    "JobInstanceUpdateEvent",
    "JobUpdate",
    "JobUpdateDetails",
    "JobUpdateEvent",
    "JobUpdateInstructions",
    "JobUpdateSettings",
    "JobUpdateSummary",
    "QueueStrategy",
    "UpdateStrategy",
    "VariableBatchStrategy",
]


@dataclass(frozen=True, slots=True)
class InstanceTaskConfig:
    """Instances that run one configuration."""

    config: TaskConfig
    instances: frozenset[Range]

    def __post_init__(self) -> None:
        object.__setattr__(self, "instances", frozenset(self.instances))
        if not self.instances:
            raise ValueError(f"InstanceTaskConfig of {self.config.job} has no instances")


@dataclass(frozen=True, slots=True)
class QueueStrategy:
    """So many instances at a time; the next one begins as soon as one is done."""

    group_size: int

    def __post_init__(self) -> None:
        checks.integer("QueueStrategy.group_size", self.group_size, at_least=1)


@dataclass(frozen=True, slots=True)
class BatchStrategy:
    """So many instances at a time; the next ones begin once all are done."""

    group_size: int
    autopause_after_batch: bool = False

    def __post_init__(self) -> None:
        checks.integer("BatchStrategy.group_size", self.group_size, at_least=1)


@dataclass(frozen=True, slots=True)
class VariableBatchStrategy:
    """Batches of these sizes; the last size is that of all that follow."""

    group_sizes: tuple[int, ...]
    autopause_after_batch: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "group_sizes", tuple(self.group_sizes))
        if not self.group_sizes:
            raise ValueError("VariableBatchStrategy.group_sizes is empty")
        for size in self.group_sizes:
            checks.integer("VariableBatchStrategy.group_sizes", size, at_least=1)


@dataclass(frozen=True, slots=True)
class UpdateStrategy:
    """Exactly one of the three."""

    queue: QueueStrategy | None = None
    batch: BatchStrategy | None = None
    variable_batch: VariableBatchStrategy | None = None

    def __post_init__(self) -> None:
        checks.one_of(
            "UpdateStrategy",
            queue=self.queue,
            batch=self.batch,
            variable_batch=self.variable_batch,
        )


@dataclass(frozen=True, slots=True)
class JobUpdateSettings:
    """How an update goes about it.

    Attributes:
        update_group_size, wait_for_batch_completion: of old; `strategy` takes their place.
        only_these_instances: all of them if it is empty.
        block_if_no_pulses_after_ms: it stops if it hears nothing for so long.
    """

    update_group_size: int = 1
    max_per_instance_failures: int = 0
    max_failed_instances: int = 0
    min_wait_in_running_ms: int = 0
    rollback_on_failure: bool = True
    only_these_instances: frozenset[Range] = frozenset()
    wait_for_batch_completion: bool = False
    block_if_no_pulses_after_ms: int | None = None
    sla_aware: bool | None = None
    strategy: UpdateStrategy | None = None

    def __post_init__(self) -> None:
        checks.integer("JobUpdateSettings.update_group_size", self.update_group_size, at_least=1)
        for name in ("max_per_instance_failures", "max_failed_instances", "min_wait_in_running_ms"):
            checks.integer(f"JobUpdateSettings.{name}", getattr(self, name))
        if self.block_if_no_pulses_after_ms is not None:
            checks.integer(
                "JobUpdateSettings.block_if_no_pulses_after_ms",
                self.block_if_no_pulses_after_ms,
                at_least=1,
            )
        object.__setattr__(self, "only_these_instances", frozenset(self.only_these_instances))


@dataclass(frozen=True, slots=True)
class JobUpdateInstructions:
    """From what to what, and how. At least one of `initial` and `desired` is there."""

    initial: frozenset[InstanceTaskConfig] = frozenset()
    desired: InstanceTaskConfig | None = None
    settings: JobUpdateSettings = JobUpdateSettings()

    def __post_init__(self) -> None:
        object.__setattr__(self, "initial", frozenset(self.initial))
        if not self.initial and self.desired is None:
            raise ValueError("JobUpdateInstructions has neither an initial nor a desired state")


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """An update as a user asks for it. Its events say how it goes."""

    key: JobUpdateKey
    user: str
    instructions: JobUpdateInstructions
    metadata: frozenset[Metadata] = frozenset()

    def __post_init__(self) -> None:
        checks.text("JobUpdate.user", self.user)
        object.__setattr__(self, "metadata", frozenset(self.metadata))
        states = set(self.instructions.initial)
        if self.instructions.desired is not None:
            states.add(self.instructions.desired)
        for each in states:
            if each.config.job != self.key.job:
                raise ValueError(f"{self.key} has a task of another job, {each.config.job}")


@dataclass(frozen=True, slots=True)
class JobUpdateEvent:
    """A change of an update's status."""

    status: JobUpdateStatus
    time_ms: int
    user: str | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "status", checks.member("JobUpdateEvent.status", self.status, JobUpdateStatus)
        )
        checks.integer("JobUpdateEvent.time_ms", self.time_ms)


@dataclass(frozen=True, slots=True)
class JobInstanceUpdateEvent:
    """What an update did to one instance."""

    instance: int
    time_ms: int
    action: JobUpdateAction
    message: str | None = None

    def __post_init__(self) -> None:
        checks.integer("JobInstanceUpdateEvent.instance", self.instance)
        checks.integer("JobInstanceUpdateEvent.time_ms", self.time_ms)
        object.__setattr__(
            self,
            "action",
            checks.member("JobInstanceUpdateEvent.action", self.action, JobUpdateAction),
        )


@dataclass(frozen=True, slots=True)
class JobUpdateSummary:
    """Where an update stands.

    Attributes:
        status: of its last event; `None` if there is none yet.
        created_ms: time of its first event, 0 if there is none yet.
        modified_ms: of its last event, of instances too; 0 if there is none yet.
    """

    key: JobUpdateKey
    user: str
    status: JobUpdateStatus | None
    created_ms: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class JobUpdateDetails:
    """All that is known of an update; events in the order in which they were saved."""

    update: JobUpdate
    summary: JobUpdateSummary
    events: Sequence[JobUpdateEvent] = ()
    instance_events: Sequence[JobInstanceUpdateEvent] = ()
