"""What a task is to run: `TaskConfig` and its parts. Every task of an instance group shares one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aurora_store.models.values import checks
from aurora_store.models.values.enums import VolumeMode
from aurora_store.models.values.keys import JobKey

__all__ = [
    "AppcImage",
    "Constraint",
    "Container",
    "CoordinatorSlaPolicy",
    "CountSlaPolicy",
    "DockerContainer",
    "DockerImage",
    "DockerParameter",
    "ExecutorConfig",
    "FetcherUri",
    "Image",
    "LimitConstraint",
    "MesosContainer",
    "Metadata",
    "PartitionPolicy",
    "PercentageSlaPolicy",
    "Resources",
    "SlaPolicy",
    "TaskConfig",
    "ValueConstraint",
    "Volume",
]


@dataclass(frozen=True, slots=True)
class Resources:
    """What a task takes of its host: Aurora's set of `Resource`, with at most one of each.

    Attributes:
        cpus: above 0. Counted in thousandths, as Mesos does.
        ram_mb, disk_mb, gpus: whole numbers.
        ports: names of the ports it wants.
    """

    cpus: float
    ram_mb: int
    disk_mb: int
    gpus: int = 0
    ports: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        checks.number("Resources.cpus", self.cpus)
        object.__setattr__(self, "cpus", float(self.cpus))
        checks.integer("Resources.ram_mb", self.ram_mb)
        checks.integer("Resources.disk_mb", self.disk_mb)
        checks.integer("Resources.gpus", self.gpus)
        object.__setattr__(self, "ports", frozenset(self.ports))
        for port in self.ports:
            checks.text("Resources.ports", port)

    @property
    def cpus_milli(self) -> int:
        """The processors in thousandths."""
        return round(self.cpus * 1000)


@dataclass(frozen=True, slots=True)
class Metadata:
    """A note of the user; keys may repeat."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class ValueConstraint:
    """The host's attribute has one of these values; `negated`: has none of them."""

    values: frozenset[str]
    negated: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozenset(self.values))


@dataclass(frozen=True, slots=True)
class LimitConstraint:
    """At most so many tasks of the job where the attribute has the same value."""

    limit: int

    def __post_init__(self) -> None:
        checks.integer("LimitConstraint.limit", self.limit)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What is asked of one attribute of the host: exactly one of `value` and `limit`."""

    name: str
    value: ValueConstraint | None = None
    limit: LimitConstraint | None = None

    def __post_init__(self) -> None:
        checks.text("Constraint.name", self.name)
        checks.one_of(f"Constraint {self.name}", value=self.value, limit=self.limit)


@dataclass(frozen=True, slots=True)
class FetcherUri:
    """What Mesos fetches into the sandbox first."""

    value: str
    extract: bool | None = None
    cache: bool | None = None
    output_file: str | None = None

    def __post_init__(self) -> None:
        checks.text("FetcherUri.value", self.value)


@dataclass(frozen=True, slots=True)
class ExecutorConfig:
    """Which executor, and its data, which nobody here reads."""

    name: str
    data: str = ""

    def __post_init__(self) -> None:
        checks.text("ExecutorConfig.name", self.name)


@dataclass(frozen=True, slots=True)
class PartitionPolicy:
    """Whether a partitioned task is replaced, and after how long."""

    reschedule: bool = True
    delay_secs: int = 0

    def __post_init__(self) -> None:
        checks.integer("PartitionPolicy.delay_secs", self.delay_secs)


@dataclass(frozen=True, slots=True)
class PercentageSlaPolicy:
    """So many of a hundred instances have run for so long."""

    percentage: float
    duration_secs: int

    def __post_init__(self) -> None:
        checks.number("PercentageSlaPolicy.percentage", self.percentage)
        if self.percentage > 100:
            raise ValueError(f"PercentageSlaPolicy.percentage is above 100: {self.percentage!r}")
        object.__setattr__(self, "percentage", float(self.percentage))
        checks.integer("PercentageSlaPolicy.duration_secs", self.duration_secs)


@dataclass(frozen=True, slots=True)
class CountSlaPolicy:
    """So many instances have run for so long."""

    count: int
    duration_secs: int

    def __post_init__(self) -> None:
        checks.integer("CountSlaPolicy.count", self.count)
        checks.integer("CountSlaPolicy.duration_secs", self.duration_secs)


@dataclass(frozen=True, slots=True)
class CoordinatorSlaPolicy:
    """A service decides."""

    coordinator_url: str
    status_key: str = "drain"

    def __post_init__(self) -> None:
        checks.text("CoordinatorSlaPolicy.coordinator_url", self.coordinator_url)


@dataclass(frozen=True, slots=True)
class SlaPolicy:
    """When instances may be taken down for maintenance: exactly one of the three."""

    percentage: PercentageSlaPolicy | None = None
    count: CountSlaPolicy | None = None
    coordinator: CoordinatorSlaPolicy | None = None

    def __post_init__(self) -> None:
        checks.one_of(
            "SlaPolicy",
            percentage=self.percentage,
            count=self.count,
            coordinator=self.coordinator,
        )


@dataclass(frozen=True, slots=True)
class DockerImage:
    """An image of a Docker registry."""

    name: str
    tag: str


@dataclass(frozen=True, slots=True)
class AppcImage:
    """An image of the App Container specification."""

    name: str
    image_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """Exactly one of the two."""

    docker: DockerImage | None = None
    appc: AppcImage | None = None

    def __post_init__(self) -> None:
        checks.one_of("Image", docker=self.docker, appc=self.appc)


@dataclass(frozen=True, slots=True)
class Volume:
    """A path of the host inside the container."""

    container_path: str
    host_path: str
    mode: VolumeMode


@dataclass(frozen=True, slots=True)
class MesosContainer:
    """A container of Mesos itself."""

    image: Image | None = None
    volumes: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "volumes", tuple(self.volumes))


@dataclass(frozen=True, slots=True)
class DockerParameter:
    """An option of Docker."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class DockerContainer:
    """A container of Docker."""

    image: str
    parameters: tuple[DockerParameter, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(self.parameters))


@dataclass(frozen=True, slots=True)
class Container:
    """Exactly one of the two; by default a plain one of Mesos."""

    mesos: MesosContainer | None = None
    docker: DockerContainer | None = None

    def __post_init__(self) -> None:
        checks.one_of("Container", mesos=self.mesos, docker=self.docker)


@dataclass(frozen=True, slots=True)
class TaskConfig:
    """What a task is to run. Not to be changed once made, mappings included.

    Attributes:
        job: whose task it is.
        owner: the user.
        resources: what it takes.
        is_service: it is started again whenever it ends.
        priority: among tasks of a role.
        max_task_failures: so many failures, and it is started no more; -1: any number.
        production: of old; `tier` takes its place.
        constraints: at most one of a name.
    """

    job: JobKey
    owner: str
    resources: Resources
    is_service: bool = False
    priority: int = 0
    max_task_failures: int = 1
    production: bool = False
    tier: str | None = None
    constraints: frozenset[Constraint] = frozenset()
    fetcher_uris: frozenset[FetcherUri] = frozenset()
    task_links: Mapping[str, str] = field(default_factory=dict, hash=False)
    contact_email: str | None = None
    executor: ExecutorConfig | None = None
    metadata: frozenset[Metadata] = frozenset()
    partition_policy: PartitionPolicy | None = None
    sla_policy: SlaPolicy | None = None
    container: Container = Container(mesos=MesosContainer())

    def __post_init__(self) -> None:
        checks.text("TaskConfig.owner", self.owner)
        checks.integer("TaskConfig.priority", self.priority, at_least=-(1 << 31))
        checks.integer("TaskConfig.max_task_failures", self.max_task_failures, at_least=-1)
        if self.tier is not None:
            checks.identifier("TaskConfig.tier", self.tier)
        for name in ("is_service", "production"):
            object.__setattr__(self, name, bool(getattr(self, name)))
        for name in ("constraints", "fetcher_uris", "metadata"):
            object.__setattr__(self, name, frozenset(getattr(self, name)))
        object.__setattr__(self, "task_links", dict(self.task_links))
        checks.unique("TaskConfig.constraints", (each.name for each in self.constraints))
        checks.texts("TaskConfig.task_links", self.task_links)

    @property
    def is_dedicated(self) -> bool:
        """Whether it asks for hosts that are set aside, so that it counts against no quota."""
        return any(each.name == "dedicated" and each.value for each in self.constraints)
