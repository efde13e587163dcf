"""The cluster's hosts: their attributes, and their maintenance."""

from __future__ import annotations

from dataclasses import dataclass

from aurora_store.models.values import checks
from aurora_store.models.values.config import SlaPolicy
from aurora_store.models.values.enums import MaintenanceMode

__all__ = ["Attribute", "HostAttributes", "HostMaintenanceRequest"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A name with one value or more."""

    name: str
    values: frozenset[str]

    def __post_init__(self) -> None:
        checks.text("Attribute.name", self.name)
        object.__setattr__(self, "values", frozenset(self.values))
        if not self.values:
            raise ValueError(f"the attribute {self.name} has no value")


@dataclass(frozen=True, slots=True)
class HostAttributes:
    """What an agent said of its host, and whether it takes tasks.

    Attributes:
        attributes: at most one of a name.
    """

    agent_id: str
    host: str
    mode: MaintenanceMode = MaintenanceMode.NONE
    attributes: frozenset[Attribute] = frozenset()

    def __post_init__(self) -> None:
        checks.text("HostAttributes.agent_id", self.agent_id)
        checks.text("HostAttributes.host", self.host)
        object.__setattr__(
            self, "mode", checks.member("HostAttributes.mode", self.mode, MaintenanceMode)
        )
        object.__setattr__(self, "attributes", frozenset(self.attributes))
        checks.unique("HostAttributes.attributes", (each.name for each in self.attributes))


@dataclass(frozen=True, slots=True)
class HostMaintenanceRequest:
    """A host that is to be drained.

    Attributes:
        sla_policy: for tasks that have none.
        timeout_secs: after so long it is drained whatever the policies say.
        created_ms: since 1970.
    """

    host: str
    sla_policy: SlaPolicy
    timeout_secs: int
    created_ms: int

    def __post_init__(self) -> None:
        checks.text("HostMaintenanceRequest.host", self.host)
        checks.integer("HostMaintenanceRequest.timeout_secs", self.timeout_secs)
        checks.integer("HostMaintenanceRequest.created_ms", self.created_ms)
