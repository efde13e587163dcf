"""An executor's side of the agent's HTTP API (v1): calls, and the stream of events."""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aurora_store.recordio import records

_CONNECT_LIMIT_S = 10.0


class AgentLost(Exception):
    """The agent cannot be reached, or does not accept a call."""


@dataclass(frozen=True)
class Agent:
    """The agent that started this executor, as the environment describes it."""

    endpoint: str
    path: str
    framework_id: str
    executor_id: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_environment(cls) -> Agent:
        """From the variables that every executor gets."""
        process = os.environ["MESOS_SLAVE_PID"].partition("@")[0]
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        token = os.environ.pop("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", None)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return cls(
            endpoint=os.environ["MESOS_AGENT_ENDPOINT"],
            path=f"/{process}/api/v1/executor",
            framework_id=os.environ["MESOS_FRAMEWORK_ID"],
            executor_id=os.environ["MESOS_EXECUTOR_ID"],
            headers=headers,
        )

    def call(self, kind: str, **content: Any) -> None:
        """Makes one call and waits until the agent has accepted it.

        Raises:
            AgentLost: it did not.
        """
        connection, response = self._request({"type": kind, **content})
        try:
            answer = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise AgentLost(str(exc)) from exc
        finally:
            connection.close()
        if response.status != http.client.ACCEPTED:
            raise AgentLost(f"HTTP {response.status}: {answer.decode(errors='replace')}")

    def subscribe(self, **content: Any) -> Iterator[dict[str, Any]]:
        """Subscribes, and yields events until the agent ends the stream.

        Raises:
            AgentLost: it cannot be reached, or refuses.
        """
        connection, response = self._request({"type": "SUBSCRIBE", "subscribe": content})
        try:
            if response.status != http.client.OK:
                raise AgentLost(f"HTTP {response.status}: {response.read().decode()}")
            connection.sock.settimeout(None)
            yield from records(response)
        except (OSError, http.client.HTTPException) as exc:
            raise AgentLost(str(exc)) from exc
        finally:
            connection.close()

    def status(
        self, task: Mapping[str, Any], state: str, message: str | None = None
    ) -> dict[str, Any]:
        """A new status of a task, for a call of the kind ``UPDATE``."""
        status = {
            "task_id": task["task_id"],
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "executor_id": {"value": self.executor_id},
            "timestamp": time.time(),
            "uuid": base64.b64encode(uuid.uuid4().bytes).decode(),
        }
        return status if message is None else {**status, "message": message}

    def _request(
        self, message: dict[str, Any]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        message["framework_id"] = {"value": self.framework_id}
        message["executor_id"] = {"value": self.executor_id}
        connection = http.client.HTTPConnection(self.endpoint, timeout=_CONNECT_LIMIT_S)
        try:
            connection.request("POST", self.path, json.dumps(message), dict(self.headers))
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as exc:
            connection.close()
            raise AgentLost(str(exc)) from exc
