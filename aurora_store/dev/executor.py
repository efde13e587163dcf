"""``mesos-executor``: runs a task's command, as the executor of that name of a Mesos installation.

Its code is not in libmesos. This one launches the command in the sandbox, kills it on request (with
SIGTERM, and SIGKILL after the grace period), reports STARTING, RUNNING and how it ended, sends each
update until the agent acknowledged it, and exits when the last one is. It does no health checks.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from aurora_store.dev.agent import Agent, AgentLost
from aurora_store.dev.processes import end_with_parent, kill_descendants

_DEFAULT_GRACE_S = 3.0
_RESEND_S = 5.0
# An agent that is gone does not come back: it is one process with its master.
_RECONNECT_TRIES = 3
_RECONNECT_PAUSE_S = 0.5
_SECOND_NS = 1_000_000_000


class CommandExecutor:
    """One executor with its one task. All state belongs to the thread in `run`.

    Other threads, which wait for events, for the command's end and for the end of a grace period,
    put what they have seen into a queue.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._seen: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._task: dict[str, Any] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._announces_kills = False
        self._unacknowledged: dict[str, dict[str, Any]] = {}
        self._sent_at = 0.0
        self._done = False

    def run(self) -> None:
        """Returns when the task has ended and everybody knows, or the agent is gone."""
        threading.Thread(target=self._follow, daemon=True).start()
        while not (self._done and not self._unacknowledged):
            try:
                seen = self._seen.get(timeout=_RESEND_S)
            except queue.Empty:
                self._resend()
                continue
            if seen["type"] == "AGENT_LOST":
                print(f"the agent is gone: {seen['reason']}", file=sys.stderr)
                return
            handle = getattr(self, f"_on_{seen['type'].lower()}", None)
            if handle is not None:
                handle(seen)

    # ---- what was seen ----

    def _on_subscribed(self, event: dict[str, Any]) -> None:
        framework = event["subscribed"]["framework_info"]
        capabilities = {each.get("type") for each in framework.get("capabilities", [])}
        self._announces_kills = "TASK_KILLING_STATE" in capabilities

    def _on_launch(self, event: dict[str, Any]) -> None:
        if self._task is not None:
            return  # a command executor has one task
        self._task = event["launch"]["task"]
        self._update("TASK_STARTING")
        try:
            self._process = _start(self._task.get("command", {}))
        except (OSError, ValueError) as exc:
            self._end("TASK_FAILED", f"Failed to launch the command: {exc}")
            return
        self._update("TASK_RUNNING")
        threading.Thread(target=self._await_exit, args=(self._process,), daemon=True).start()

    def _on_kill(self, event: dict[str, Any]) -> None:
        policy = event["kill"].get("kill_policy") or (self._task or {}).get("kill_policy", {})
        self._kill(policy)

    def _on_shutdown(self, _event: dict[str, Any]) -> None:
        self._kill((self._task or {}).get("kill_policy", {}))

    def _on_grace_over(self, _seen: dict[str, Any]) -> None:
        self._signal(signal.SIGKILL)

    def _on_exited(self, seen: dict[str, Any]) -> None:
        code = seen["code"]
        how = (
            f"terminated with signal {signal.Signals(-code).name}"
            if code < 0
            else f"exited with status {code}"
        )
        self._signal(signal.SIGKILL)  # what it left behind in its process group
        if self._killed:
            self._end("TASK_KILLED", f"Command {how}")
        else:
            self._end("TASK_FINISHED" if code == 0 else "TASK_FAILED", f"Command {how}")

    def _on_acknowledged(self, event: dict[str, Any]) -> None:
        self._unacknowledged.pop(event["acknowledged"]["uuid"], None)

    # ---- the command ----

    def _kill(self, policy: dict[str, Any]) -> None:
        if self._process is None:
            self._done = True  # nothing was launched, or it could not be
            return
        if self._killed or self._done:
            return
        self._killed = True
        if self._announces_kills:
            self._update("TASK_KILLING")
        grace = policy.get("grace_period", {}).get("nanoseconds")
        limit = _DEFAULT_GRACE_S if grace is None else grace / _SECOND_NS
        self._signal(signal.SIGTERM)
        timer = threading.Timer(limit, self._seen.put, [{"type": "GRACE_OVER"}])
        timer.daemon = True
        timer.start()

    def _signal(self, number: signal.Signals) -> None:
        # The command leads a process group of its own, which is there as long as anyone is in it.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _await_exit(self, process: subprocess.Popen[bytes]) -> None:
        self._seen.put({"type": "EXITED", "code": process.wait()})

    # ---- the agent ----

    def _end(self, state: str, message: str) -> None:
        self._done = True
        self._update(state, message)

    def _update(self, state: str, message: str | None = None) -> None:
        assert self._task is not None
        status = self._agent.status(self._task, state, message)
        self._unacknowledged[status["uuid"]] = {"status": status}
        self._send(status["uuid"])

    def _send(self, number: str) -> None:
        self._sent_at = time.monotonic()
        # One that is lost is sent again: on the next subscription, or after a while.
        with contextlib.suppress(AgentLost):
            self._agent.call("UPDATE", update=self._unacknowledged[number])

    def _resend(self) -> None:
        if time.monotonic() - self._sent_at >= _RESEND_S:
            for number in list(self._unacknowledged):
                self._send(number)

    def _follow(self) -> None:
        """Of its own thread: subscribes, and again when the stream ends."""
        reason, tries = "", 0
        while tries < _RECONNECT_TRIES:
            try:
                for event in self._agent.subscribe(**self._state()):
                    tries = 0
                    self._seen.put(event)
                reason = "it ended the stream of events"
            except AgentLost as exc:
                reason = str(exc)
            tries += 1
            time.sleep(_RECONNECT_PAUSE_S)
        self._seen.put({"type": "AGENT_LOST", "reason": reason})

    def _state(self) -> dict[str, Any]:
        """What a subscription says: the task and the updates that the agent may not know."""
        # Copies of single objects, which the other thread replaces or adds to but never changes.
        task, updates = self._task, list(self._unacknowledged.values())
        return {
            "unacknowledged_tasks": [task] if task is not None and updates else [],
            "unacknowledged_updates": updates,
        }


def _start(command: dict[str, Any]) -> subprocess.Popen[bytes]:
    if command.get("shell", True):
        if "value" not in command:
            raise ValueError("the task has no command")
        arguments = ["/bin/sh", "-c", command["value"]]
    else:
        arguments = command.get("arguments") or [command["value"]]
    variables = command.get("environment", {}).get("variables", [])
    environment = {each["name"]: each["value"] for each in variables if "value" in each}
    return subprocess.Popen(
        arguments,
        executable=None if command.get("shell", True) else command.get("value"),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=end_with_parent,  # this executor, if it is killed
    )


def main() -> None:
    """Runs the task that the agent has for this executor."""
    executor = CommandExecutor(Agent.of_environment())
    try:
        executor.run()
    finally:
        kill_descendants(os.getpid())
