"""What the leaders reported, and whether the replicas have exactly that."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aurora_store.demo.process import Report

__all__ = ["Ledger", "differences_of"]


@dataclass
class Ledger:
    """What the leaders have reported. Written by the threads that read from them."""

    kill_count: int
    acknowledged: list[int] = field(default_factory=list)
    unknown: set[int] = field(default_factory=set)
    found: set[int] = field(default_factory=set)
    kill_now: threading.Event = field(default_factory=threading.Event)

    def add(self, report: Report) -> None:
        """Takes a leader's report."""
        self.acknowledged += report.get("acknowledged", ())
        self.unknown.update(report.get("unknown", ()))
        self.found.update(report.get("found", ()))
        if len(self.acknowledged) >= self.kill_count:
            self.kill_now.set()

    def settled(self) -> set[int]:
        """Events that are known to be in the database."""
        return self.found.union(self.acknowledged)


def differences_of(
    ledger: Ledger, total: int, hosts: int, replicas: Sequence[dict[str, Any]]
) -> list[str]:
    """What does not hold; empty if the replicas have exactly what was acknowledged."""
    differences = []
    settled = ledger.settled()
    if len(ledger.acknowledged) != len(set(ledger.acknowledged)):
        differences.append("an event was acknowledged twice")
    if len(settled) != total:
        differences.append(f"{len(settled)} of {total} events were acknowledged")
    for replica in replicas:
        name, events = replica["name"], replica["events"]
        present = set(events)
        if len(events) != len(present):
            differences.append(f"{name} has events more than once")
        if lost := sorted(settled - present):
            differences.append(f"{name} lacks {len(lost)} acknowledged events: {lost[:10]}")
        if extra := sorted(present - settled - ledger.unknown):
            differences.append(f"{name} has {len(extra)} events of nobody's: {extra[:10]}")
        if replica["rows"]["host"] != hosts:
            differences.append(f"{name} has {replica['rows']['host']} of {hosts} hosts")
        if replica["wrong_accounts"]:
            differences.append(f"{name} has {replica['wrong_accounts']} hosts with wrong accounts")
        if not replica["checksum"] == replica["recomputed"] == replica["kept"]:
            differences.append(f"{name}'s pages do not match its checksum")
    checksums = {replica["checksum"] for replica in replicas}
    if len(checksums) != 1:
        differences.append(f"the checksums differ: {', '.join(sorted(checksums))}")
    return differences
