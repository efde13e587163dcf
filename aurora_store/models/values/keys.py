"""What things are called: jobs, instances, updates; and ranges of instances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aurora_store.models.values import checks

__all__ = ["InstanceKey", "JobKey", "JobUpdateKey", "Range"]


@dataclass(frozen=True, order=True, slots=True)
class JobKey:
    """A job: whose it is, where it runs, its name."""

    role: str
    environment: str
    name: str

    def __post_init__(self) -> None:
        checks.identifier("JobKey.role", self.role)
        checks.identifier("JobKey.environment", self.environment)
        checks.identifier("JobKey.name", self.name)

    def __str__(self) -> str:
        return f"{self.role}/{self.environment}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> JobKey:
        """Of the form that `str` gives."""
        parts = text.split("/")
        if len(parts) != 3:
            raise ValueError(f"a job is ROLE/ENVIRONMENT/NAME, not {text!r}")
        return cls(*parts)


@dataclass(frozen=True, order=True, slots=True)
class InstanceKey:
    """One instance of a job; the tasks that follow each other there share it."""

    job: JobKey
    instance: int

    def __post_init__(self) -> None:
        checks.integer("InstanceKey.instance", self.instance)

    def __str__(self) -> str:
        return f"{self.job}/{self.instance}"


@dataclass(frozen=True, order=True, slots=True)
class JobUpdateKey:
    """One update of a job."""

    job: JobKey
    id: str

    def __post_init__(self) -> None:
        checks.text("JobUpdateKey.id", self.id)

    def __str__(self) -> str:
        return f"{self.job} update {self.id}"


@dataclass(frozen=True, order=True, slots=True)
class Range:
    """Instances from `first` to `last`, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        checks.integer("Range.first", self.first)
        checks.integer("Range.last", self.last, at_least=self.first)

    def __contains__(self, instance: int) -> bool:
        return self.first <= instance <= self.last

    @staticmethod
    def of(instances: Iterable[int]) -> frozenset[Range]:
        """The fewest ranges that have just these instances."""
        found: list[Range] = []
        for instance in sorted(set(instances)):
            if found and found[-1].last == instance - 1:
                found[-1] = Range(found[-1].first, instance)
            else:
                found.append(Range(instance, instance))
        return frozenset(found)
