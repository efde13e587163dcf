"""A Mesos executor with many tasks, which sends one update of each of them whenever it is asked."""

from __future__ import annotations

from typing import Any

from aurora_store.dev.agent import Agent


def main() -> None:
    """Until the agent ends it."""
    agent = Agent.of_environment()
    tasks: list[dict[str, Any]] = []
    for event in agent.subscribe(unacknowledged_tasks=[], unacknowledged_updates=[]):
        if event["type"] == "SHUTDOWN":
            return
        if event["type"] == "LAUNCH":
            tasks.append(event["launch"]["task"])
        elif event["type"] == "MESSAGE":
            for task in tasks:
                agent.call("UPDATE", update={"status": agent.status(task, "TASK_RUNNING")})


if __name__ == "__main__":
    main()
