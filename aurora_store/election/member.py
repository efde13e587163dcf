"""Who stands for election and who leads, as values and as the bytes of a znode."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_NAME = re.compile(r"[^\s/]{1,200}")
_MOST_BYTES = 16 * 1024


@dataclass(frozen=True)
class Member:
    """One candidate, as the others see it.

    Args:
        name: unique among the candidates; no white space and no slash. A host's name is a good one.
        address: where others redirect to while this candidate leads.
        metadata: whatever else they should know; small, and nothing secret: everybody can read it.

    Raises:
        ValueError: the name is not one, or all of it is larger than 16 KiB as JSON.
    """

    name: str
    address: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} is not the name of a candidate: up to 200 characters without white"
                " space and slashes"
            )
        try:
            size = len(json.dumps(self.as_json()))
        except (TypeError, ValueError) as exc:
            raise ValueError(f"the metadata of {self.name} is not JSON: {exc}") from exc
        if size > _MOST_BYTES:
            raise ValueError(
                f"{self.name} and its metadata are {size} bytes of JSON; at most {_MOST_BYTES}"
            )

    def as_json(self) -> dict[str, Any]:
        """For a znode and for ``--json``."""
        return {"name": self.name, "address": self.address, "metadata": dict(self.metadata)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Member:
        """The inverse of `as_json`. Unknown fields are left out."""
        return cls(str(value["name"]), str(value["address"]), dict(value["metadata"]))


@dataclass(frozen=True)
class Leader:
    """Who leads.

    Attributes:
        member: where to find it.
        epoch: of its reign in the log; ``None`` while it is elected and does not lead yet.
        since: when it was elected, by its own clock; ``None`` if that is not known.
    """

    member: Member
    epoch: int | None
    since: datetime | None

    @property
    def name(self) -> str:
        """Of the member."""
        return self.member.name

    def as_json(self) -> dict[str, Any]:
        """For a znode and for ``--json``."""
        since = None if self.since is None else self.since.isoformat(timespec="milliseconds")
        return {**self.member.as_json(), "epoch": self.epoch, "since": since}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Leader:
        """The inverse of `as_json`."""
        since = value["since"]
        return cls(
            Member.from_json(value), value["epoch"], since and datetime.fromisoformat(str(since))
        )
