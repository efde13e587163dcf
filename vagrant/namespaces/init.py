"""The first process of a machine: runs its units as systemd would, as far as `units` says.

It is asked by ``systemctl`` (the file beside this one) through a socket. It starts, stops, kills
and restarts what the unit files say, as their user, with their environment and in their sandbox,
and reaps whatever else ends in the machine. When it ends, everything in the machine does.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from vagrant.namespaces.units import Unit, expand, read_environment_file, read_unit

SOCKET = Path("/run/systemctl.sock")
_UNITS = Path("/etc/systemd/system")
_LOGS = Path("/var/log")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REAP_EVERY_S = 0.5

_CHECKOUT = Path(__file__).parents[2]

# Mounts of the service alone, then the privileges go: $1 is "strict" and $2 "private", or neither,
# and $3 the checkout, which may lie in /tmp; the directories that stay writable follow, up to "--".
_SANDBOX = """
protect=$1 tmp=$2 checkout=$3; shift 3
while [ "$1" != -- ]; do mount --bind "$1" "$1"; shift; done; shift
if [ "$tmp" = private ]; then
  mount --bind "$checkout" /mnt
  mount -t tmpfs -o mode=1777 tmp /tmp
  (umask 0022; mkdir -p "$checkout")
  mount --bind /mnt "$checkout"
  umount /mnt
fi
[ "$protect" != strict ] || mount -o remount,bind,ro /
exec "$@"
"""


class Service:
    """One unit, started or stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.RLock()
        # Guarded by _lock:
        self._wanted = False
        self._process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        # Set to end the pause before a restart.
        self._hurry = threading.Event()

    @property
    def pid(self) -> int:
        """Of the main process; 0: it does not run."""
        with self._lock:
            running = self._process is not None and self._process.poll() is None
            return self._process.pid if self._process is not None and running else 0

    def start(self) -> None:
        """Does nothing if it is started already."""
        with self._lock:
            if self._wanted:
                return
            unit = self._read()
            self._wanted = True
            self._hurry.clear()
            self._spawn(unit)
            threading.Thread(target=self._keep, daemon=True).start()

    def stop(self) -> None:
        """Asks with SIGTERM, and kills once the time is over."""
        with self._lock:
            self._wanted = False
            self._hurry.set()
            process = self._process
        if process is None:
            return
        limit = self._read().stop_limit
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(limit)
        self._end_group(process)

    def kill(self, number: int) -> None:
        """Sends a signal to the main process."""
        with self._lock:
            if self._process is not None:
                self._process.send_signal(number)

    def _read(self) -> Unit:
        path = _UNITS / f"{self.name}.service"
        if not path.exists():
            raise FileNotFoundError(f"there is no unit {path}")
        return read_unit(self.name, [path, *sorted((_UNITS / f"{path.name}.d").glob("*.conf"))])

    def _keep(self) -> None:
        while True:
            with self._lock:
                process = self._process
            assert process is not None
            code = process.wait()
            self._end_group(process)
            unit = self._read()
            with self._lock:
                self._log(f"ended with {code}")
                if not self._wanted or not unit.restart:
                    self._wanted = False
                    return
            self._hurry.wait(unit.restart_after)
            with self._lock:
                if not self._wanted:
                    return
                self.restarts += 1
                self._spawn(unit)

    def _spawn(self, unit: Unit) -> None:
        who = pwd.getpwnam(unit.user)
        for places, mode in (
            (unit.state_directories, unit.state_directory_mode),
            (unit.runtime_directories, unit.runtime_directory_mode),
        ):
            for place in places:
                place.mkdir(parents=True, exist_ok=True)
                place.chmod(mode)
                shutil.chown(place, unit.user, unit.group)
        environment = {"PATH": _PATH, "LANG": "C.UTF-8", "USER": unit.user, "HOME": who.pw_dir}
        environment.update(unit.environment)
        for path in unit.environment_files:
            environment.update(read_environment_file(path))
        # What is for the dynamic loader would act on each program of the sandbox, too.
        loader = {key: environment.pop(key) for key in [*environment] if key.startswith("LD_")}
        late = ["env", *(f"{key}={value}" for key, value in loader.items())] if loader else []
        with (_LOGS / f"{unit.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_sandbox(unit), *late, *expand(unit.command, environment)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd="/",
                umask=unit.umask,
                start_new_session=True,
            )
        self._log(f"started as process {self._process.pid}")

    def _end_group(self, process: subprocess.Popen[bytes]) -> None:
        # systemd ends what is left of the control group; this is as near as a session comes.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def _log(self, what: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {self.name} {what}", flush=True)


def _sandbox(unit: Unit) -> list[str]:
    """What goes before a unit's command. Each part becomes the next, so the process stays one."""
    return [
        *("unshare", "--mount", "--propagation", "private", "sh", "-euc", _SANDBOX, "sh"),
        "strict" if unit.read_only_system else "no",
        "private" if unit.private_tmp else "no",
        str(_CHECKOUT),
        *map(str, (*unit.state_directories, *unit.runtime_directories)),
        "--",
        *("setpriv", f"--reuid={unit.user}", f"--regid={unit.group}", "--init-groups"),
        *(["--no-new-privs"] if unit.no_new_privileges else []),
        *(["--bounding-set=-all", "--inh-caps=-all"] if unit.no_capabilities else []),
    ]


class _Services:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, Service] = {}  # guarded by _lock

    def answer(self, request: dict[str, Any]) -> Any:
        """Does what ``systemctl`` asks for."""
        services = [self._service(name) for name in request["units"]]
        for service in services:
            match request["verb"]:
                case "start":
                    service.start()
                case "stop":
                    service.stop()
                case "restart":
                    service.stop()
                    service.start()
                case "kill":
                    service.kill(request["signal"])
        return [{"pid": each.pid, "restarts": each.restarts} for each in services]

    def _service(self, name: str) -> Service:
        name = name.removesuffix(".service")
        with self._lock:
            return self._by_name.setdefault(name, Service(name))


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """One request, one answer; each a line of JSON."""
        server = self.server
        assert isinstance(server, _Server)
        try:
            answer = {"services": server.services.answer(json.loads(self.rfile.readline()))}
        except Exception as exc:
            answer = {"error": str(exc)}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(str(SOCKET), _Handler)
        SOCKET.chmod(0o600)
        self.services = _Services()


def _reap() -> None:
    """Ends the zombies that have no other parent; those of the services are theirs to wait for."""
    while True:
        time.sleep(_REAP_EVERY_S)
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                session = int(fields[3])
                if fields[0] == "Z" and fields[1] == "1" and session != int(path.name):
                    os.waitpid(int(path.name), os.WNOHANG)


def main() -> None:
    """Runs until it is killed."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_reap, daemon=True).start()
    _Server().serve_forever()


if __name__ == "__main__":
    main()
