"""What ``cluster.env`` says."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

VAGRANT = Path(__file__).parents[1]
PROJECT = VAGRANT.parent


@dataclass(frozen=True)
class Settings:
    """The machines' names and addresses, and where Mesos runs."""

    addresses: dict[str, str]
    mesos_machine: str
    zookeeper_path: str
    instances: int

    @property
    def zookeeper(self) -> str:
        """The servers, as clients name them."""
        return ",".join(f"{address}:2181" for address in self.addresses.values())

    @property
    def mesos(self) -> str:
        """``host:port`` of the master."""
        return f"{self.addresses[self.mesos_machine]}:5050"


def read_settings(path: Path = VAGRANT / "cluster.env") -> Settings:
    """Reads the file."""
    values = dict(
        word.split("=", 1) for word in shlex.split(path.read_text(), comments=True) if "=" in word
    )
    names, addresses = values["MACHINES"].split(), values["ADDRESSES"].split()
    return Settings(
        addresses=dict(zip(names, addresses, strict=True)),
        mesos_machine=values["MESOS_MACHINE"],
        zookeeper_path=values["ZOOKEEPER_PATH"],
        instances=int(values["INSTANCES"]),
    )
