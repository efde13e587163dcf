"""Attributes of hosts, and requests for their maintenance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from aurora_store.models.stores.base import BaseStore
from aurora_store.models.values.canonical import decode, encode
from aurora_store.models.values.config import SlaPolicy
from aurora_store.models.values.enums import MaintenanceMode
from aurora_store.models.values.hosts import Attribute, HostAttributes, HostMaintenanceRequest

__all__ = ["AttributeStore", "HostMaintenanceStore"]

_ATTRIBUTES: Final = "SELECT agent_id, host, mode, attributes FROM host_attributes"
# The condition keeps what is the same from being written: agents offer again and again.
_SAVE_ATTRIBUTES: Final = """INSERT INTO host_attributes (agent_id, host, mode, attributes)
  VALUES (?, ?, ?, ?)
  ON CONFLICT (agent_id) DO UPDATE SET host = excluded.host, mode = excluded.mode,
  attributes = excluded.attributes
  WHERE (host, mode, attributes) <> (excluded.host, excluded.mode, excluded.attributes)"""
_MAINTENANCE: Final = "SELECT host, sla_policy, timeout_secs, created_ms FROM host_maintenance"
_SAVE_MAINTENANCE: Final = """INSERT INTO host_maintenance (host, sla_policy, timeout_secs,
  created_ms) VALUES (?, ?, ?, ?)
  ON CONFLICT (host) DO UPDATE SET sla_policy = excluded.sla_policy,
  timeout_secs = excluded.timeout_secs, created_ms = excluded.created_ms"""


class AttributeStore(BaseStore):
    """What agents said of their hosts, by agent: a host that comes back as another agent is two."""

    __slots__ = ()

    def fetch(self, agent_id: str) -> HostAttributes | None:
        """Of one agent."""
        found = self._fetch(f"{_ATTRIBUTES} WHERE agent_id = ?", agent_id)
        return found[0] if found else None

    def fetch_host(self, host: str) -> Sequence[HostAttributes]:
        """Of the agents of one host; the one that came last is the first."""
        return self._fetch(f"{_ATTRIBUTES} WHERE host = ? ORDER BY id DESC", host)

    def fetch_all(self) -> Sequence[HostAttributes]:
        """Of all agents, in the order in which they came."""
        return self._fetch(f"{_ATTRIBUTES} ORDER BY id")

    def save(self, attributes: HostAttributes) -> bool:
        """Adds or replaces an agent's; returns whether that changed anything.

        What is the same already is not written, and takes nothing in the log.
        """
        row = (
            attributes.agent_id,
            attributes.host,
            int(attributes.mode),
            encode(attributes.attributes),
        )
        return self._run(_SAVE_ATTRIBUTES, row) > 0

    def remove(self, agent_ids: Iterable[str]) -> None:
        """Forgets agents that are gone."""
        self._run_each(
            "DELETE FROM host_attributes WHERE agent_id = ?", [(each,) for each in agent_ids]
        )

    def delete_all(self) -> None:
        """Forgets all."""
        self._run("DELETE FROM host_attributes")

    def _fetch(self, sql: str, *parameters: str) -> list[HostAttributes]:
        return [
            HostAttributes(
                agent_id, host, MaintenanceMode(mode), decode(frozenset[Attribute], attributes)
            )
            for agent_id, host, mode, attributes in self._rows(sql, parameters)
        ]


class HostMaintenanceStore(BaseStore):
    """The hosts that are to be drained."""

    __slots__ = ()

    def fetch(self, host: str) -> HostMaintenanceRequest | None:
        """Of one host."""
        found = self._fetch(f"{_MAINTENANCE} WHERE host = ?", host)
        return found[0] if found else None

    def fetch_all(self) -> Sequence[HostMaintenanceRequest]:
        """All, by host."""
        return self._fetch(f"{_MAINTENANCE} ORDER BY host")

    def save(self, request: HostMaintenanceRequest) -> None:
        """Adds it, or replaces the one of its host."""
        policy = encode(request.sla_policy)
        self._run(
            _SAVE_MAINTENANCE, (request.host, policy, request.timeout_secs, request.created_ms)
        )

    def remove(self, host: str) -> None:
        """Removes it, if it is there."""
        self._run("DELETE FROM host_maintenance WHERE host = ?", (host,))

    def delete_all(self) -> None:
        """Removes all."""
        self._run("DELETE FROM host_maintenance")

    def _fetch(self, sql: str, *parameters: str) -> list[HostMaintenanceRequest]:
        return [
            HostMaintenanceRequest(host, decode(SlaPolicy, policy), timeout, created)
            for host, policy, timeout, created in self._rows(sql, parameters)
        ]
