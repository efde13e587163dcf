"""A framework on the master's HTTP API alone, to see what the cluster does without any driver."""

from __future__ import annotations

import http.client
import json
import time
from types import TracebackType
from typing import Any

from harness import LIMIT

from aurora_store.recordio import records

_PATH = "/api/v1/scheduler"
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_NEEDS = [
    {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
    {"name": "mem", "type": "SCALAR", "scalar": {"value": 16}},
]


class V1Framework:
    """One subscription; updates are acknowledged as they are read."""

    def __init__(
        self,
        master: str,
        *,
        framework_id: str | None = None,
        failover_timeout: float = 60.0,
        capabilities: tuple[str, ...] = (),
        checkpoint: bool = False,
    ) -> None:
        self._master = master
        framework: dict[str, Any] = {
            "user": "nobody",
            "name": "test",
            "failover_timeout": failover_timeout,
            "checkpoint": checkpoint,
            "capabilities": [{"type": each} for each in capabilities],
        }
        message = {"type": "SUBSCRIBE", "subscribe": {"framework_info": framework}}
        if framework_id is not None:
            framework["id"] = message["framework_id"] = {"value": framework_id}
        self._connection = http.client.HTTPConnection(master, timeout=LIMIT)
        self._connection.request("POST", _PATH, json.dumps(message), _JSON)
        response = self._connection.getresponse()
        assert response.status == http.client.OK, response.read()
        self._stream_id = response.headers["Mesos-Stream-Id"]
        self._events = records(response)
        self.id: str = self.event("SUBSCRIBED")["framework_id"]["value"]

    def call(self, kind: str, **content: Any) -> None:
        """Makes a call; the master must accept it."""
        message = {"type": kind, "framework_id": {"value": self.id}, **content}
        headers = {**_JSON, "Mesos-Stream-Id": self._stream_id}
        connection = http.client.HTTPConnection(self._master, timeout=LIMIT)
        try:
            connection.request("POST", _PATH, json.dumps(message), headers)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == http.client.ACCEPTED, answer
        finally:
            connection.close()

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of a kind."""
        end = time.monotonic() + LIMIT
        for event in self._events:
            if event["type"] == kind:
                return dict(event[kind.lower()])
            assert event["type"] != "ERROR", event
            assert time.monotonic() < end, f"no {kind} within {LIMIT:g} s"
        raise AssertionError("the master ended the stream")

    def launch(self, name: str, command: dict[str, Any]) -> None:
        """Launches a command task on the next offer."""
        self.launch_all([{"name": name, "command": command, "resources": _NEEDS}])

    def launch_all(self, tasks: list[dict[str, Any]]) -> None:
        """Launches tasks on the next offer; each is called by its name."""
        offer = self.event("OFFERS")["offers"][0]
        own = [
            {"task_id": {"value": task["name"]}, "agent_id": offer["agent_id"], **task}
            for task in tasks
        ]
        launch = {"type": "LAUNCH", "launch": {"task_infos": own}}
        filters = {"refuse_seconds": 0.0}
        accept = {"offer_ids": [offer["id"]], "operations": [launch], "filters": filters}
        self.call("ACCEPT", accept=accept)

    def status(self, *, acknowledge: bool = True) -> dict[str, Any]:
        """The next status of a task."""
        status: dict[str, Any] = self.event("UPDATE")["status"]
        if acknowledge and "uuid" in status:
            keys = ("agent_id", "task_id", "uuid")
            self.call("ACKNOWLEDGE", acknowledge={key: status[key] for key in keys})
        return status

    def states(self, count: int) -> list[str]:
        """The next so many states."""
        return [self.status()["state"] for _ in range(count)]

    def kill(self, name: str, **kill: Any) -> None:
        """Asks for the end of a task."""
        self.call("KILL", kill={"task_id": {"value": name}, **kill})

    def disconnect(self) -> None:
        """As a scheduler that ends without a word."""
        self._connection.close()
        self._events.close()  # type: ignore[attr-defined]  # a generator

    def __enter__(self) -> V1Framework:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()
