"""What a unit file of systemd says, as far as `vagrant.namespaces.init` does it.

Every directive is one of three kinds: done, known and left out, or an error. So a directive that is
added to a unit is either tested or refused, never passed over in silence.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Order, dependencies and installation mean nothing with one target; the rest needs systemd itself
# (seccomp filters, device policy), or would hide the directories that the software is shared from.
_LEFT_OUT = {
    "Unit": {"Description", "Documentation", "Wants", "After", "StartLimitIntervalSec"},
    "Install": {"WantedBy"},
    "Service": {
        "SuccessExitStatus",  # Restart=always asks for no reason
        "LockPersonality",
        "PrivateDevices",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
    },
}
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_WHOLE_VARIABLE = re.compile(r"\$(\w+)")


class UnitError(ValueError):
    """A unit file says something that is not done here."""


@dataclass(frozen=True)
class Unit:
    """One service. Times are in seconds."""

    name: str
    command: tuple[str, ...]
    """Of ExecStart, with its variables; see `expand`."""
    user: str
    group: str
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_files: tuple[Path, ...] = ()
    state_directories: tuple[Path, ...] = ()
    state_directory_mode: int = 0o755
    runtime_directories: tuple[Path, ...] = ()
    runtime_directory_mode: int = 0o755
    umask: int = 0o022
    restart: bool = False
    restart_after: float = 0.1
    stop_limit: float = 90.0
    no_new_privileges: bool = False
    no_capabilities: bool = False
    read_only_system: bool = False
    private_tmp: bool = False


def read_unit(name: str, paths: Iterable[Path]) -> Unit:
    """Reads a unit file, and the drop-ins after it.

    Raises:
        UnitError: something in it is not done here.
    """
    values: dict[str, list[str]] = {}
    for path in paths:
        for directive, value in _directives(path):
            if value or directive == "CapabilityBoundingSet":
                values.setdefault(directive, []).append(value)
            else:
                values.pop(directive, None)  # an empty value takes back what was said before

    def last(directive: str, default: str = "") -> str:
        return values.pop(directive, [default])[-1]

    def words(directive: str) -> list[str]:
        return [word for value in values.pop(directive, []) for word in shlex.split(value)]

    restart = last("Restart", "no")
    protect = last("ProtectSystem", "no")
    bounding = values.pop("CapabilityBoundingSet", None)
    if (
        restart not in ("no", "always")
        or protect not in ("no", "strict")
        or bounding
        not in (
            None,
            [""],
        )
    ):
        raise UnitError(f"{name}: Restart, ProtectSystem or CapabilityBoundingSet is not done here")
    user = last("User", "root")
    unit = Unit(
        name=name,
        command=tuple(shlex.split(last("ExecStart"))),
        user=user,
        group=last("Group", user),
        environment=dict(word.split("=", 1) for word in words("Environment")),
        environment_files=tuple(map(Path, words("EnvironmentFile"))),
        state_directories=tuple(Path("/var/lib", word) for word in words("StateDirectory")),
        state_directory_mode=int(last("StateDirectoryMode", "0755"), 8),
        runtime_directories=tuple(Path("/run", word) for word in words("RuntimeDirectory")),
        runtime_directory_mode=int(last("RuntimeDirectoryMode", "0755"), 8),
        umask=int(last("UMask", "0022"), 8),
        restart=restart == "always",
        restart_after=float(last("RestartSec", "0.1")),
        stop_limit=float(last("TimeoutStopSec", "90")),
        no_new_privileges=last("NoNewPrivileges", "no") == "yes",
        no_capabilities=bounding is not None,
        read_only_system=protect == "strict",
        private_tmp=last("PrivateTmp", "no") == "yes",
    )
    if values:
        raise UnitError(f"{name}: {', '.join(sorted(values))} is not done here")
    if not unit.command or not unit.command[0].startswith("/"):
        raise UnitError(f"{name}: ExecStart needs a command with its whole path")
    return unit


def expand(command: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Puts values in: ``${X}`` anywhere, as one word; ``$X`` alone as none, one or several."""
    expanded: list[str] = []
    for word in command:
        whole = _WHOLE_VARIABLE.fullmatch(word)
        if whole:
            expanded.extend(environment.get(whole[1], "").split())
        else:
            expanded.append(_VARIABLE.sub(lambda match: environment.get(match[1], ""), word))
    return expanded


def read_environment_file(path: Path) -> dict[str, str]:
    """The assignments in a file as EnvironmentFile names it."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and line[0] not in "#;")


def _directives(path: Path) -> Iterable[tuple[str, str]]:
    section = ""
    for line in path.read_text().replace("\\\n", " ").splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            section = line.strip("[]")
            continue
        directive, equals, value = line.partition("=")
        directive, value = directive.strip(), value.strip()
        if not equals or section not in _LEFT_OUT or "%" in value:
            raise UnitError(f"{path}: {line!r} is not done here")
        if section == "Service" and directive not in _LEFT_OUT["Service"]:
            yield directive, value
        elif section != "Service" and directive not in _LEFT_OUT[section]:
            raise UnitError(f"{path}: {directive} in [{section}] is not done here")
