"""The cables: a switch and the machines' network namespaces.

The switch is a bridge in a namespace of its own, and has no address: the network of the computer
itself is neither used nor changed, and several clusters can run at a time.

    NAME-switch:  bridge  --  aurora-1, aurora-2, aurora-3   (ends of the cables)
    NAME-aurora-1:  eth1  192.168.56.11/24                   (the other end)
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

_NAMESPACES = Path("/run/netns")


class Network:
    """A switch with a cable to each machine.

    Args:
        name: what the names of the namespaces begin with.
        addresses: of the machines, by name.
    """

    def __init__(self, name: str, addresses: Mapping[str, str]) -> None:
        self.name = name
        self._addresses = addresses
        self._switch = f"{name}-switch"

    def namespace(self, machine: str) -> str:
        """The name of a machine's network namespace."""
        return f"{self.name}-{machine}"

    def up(self) -> None:
        """Lays all cables.

        Raises:
            subprocess.CalledProcessError: no rights, or the names are in use.
        """
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        for machine, address in self._addresses.items():
            inside = self.namespace(machine)
            _ip("netns", "add", inside)
            cable = ("link", "add", machine, "type", "veth", "peer", "name", "eth1")
            _ip("-n", self._switch, *cable, "netns", inside)
            _ip("-n", self._switch, "link", "set", machine, "master", "bridge", "up")
            _ip("-n", inside, "address", "add", f"{address}/24", "dev", "eth1")
            _ip("-n", inside, "link", "set", "eth1", "up")
            _ip("-n", inside, "link", "set", "lo", "up")

    def cut(self, machine: str) -> None:
        """Pulls a machine's cable out of the switch."""
        _ip("-n", self._switch, "link", "set", machine, "down")

    def heal(self, machine: str) -> None:
        """Plugs it in again."""
        _ip("-n", self._switch, "link", "set", machine, "up")

    def down(self) -> None:
        """Removes everything that is left of it. Processes in the namespaces must have ended."""
        for path in _NAMESPACES.glob(f"{self.name}-*"):
            _ip("netns", "delete", path.name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
