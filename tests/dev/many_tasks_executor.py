"""A custom executor that has many tasks, each of which is over at once."""

from aurora_store.dev.agent import Agent

agent = Agent.of_environment()
for event in agent.subscribe(unacknowledged_tasks=[], unacknowledged_updates=[]):
    if event["type"] == "SHUTDOWN":
        break
    if event["type"] == "LAUNCH":
        for state in ("TASK_RUNNING", "TASK_FINISHED"):
            agent.call("UPDATE", update={"status": agent.status(event["launch"]["task"], state)})
