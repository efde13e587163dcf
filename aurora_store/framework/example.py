"""An example to run and to learn from: a framework that keeps a job's instances running.

    python -m aurora_store.framework.example --name host-1 --directory /var/lib/example \\
        --zookeeper zk://h1:2181,h2:2181,h3:2181/example --quorum 2 --address 10.0.0.1:9090 \\
        --mesos zk://h1:2181,h2:2181,h3:2181/mesos --instances 3

Run it on three hosts. One of them leads; the others follow the store, and take over when it dies.
A task is a row, which is on a majority of the hosts before Mesos hears of the task.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from aurora_store import Store
from aurora_store.election import Election, HeartbeatElection, Member, ZooKeeperElection
from aurora_store.errors import StoreError
from aurora_store.framework import Driver, Framework, FrameworkCollector, Scheduler
from aurora_store.monitoring import METADATA_KEY, MonitoringServer

ENDED = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR")
NEEDS = {"cpus": 0.1, "mem": 16.0}


class Base(DeclarativeBase): ...


class Task(Base):
    """One launch of an instance. Ids are never used again."""

    __tablename__ = "task"
    id: Mapped[str] = mapped_column(primary_key=True)
    instance: Mapped[int] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(index=True)


class TaskEvent(Base):
    """One status update; its uuid tells it from one that Mesos sends again."""

    __tablename__ = "task_event"
    uuid: Mapped[str] = mapped_column(primary_key=True)
    task: Mapped[str] = mapped_column(index=True)
    state: Mapped[str]


class KeepRunning(Scheduler):
    """Launches an instance whenever one is missing."""

    def __init__(self, instances: int, command: str) -> None:
        self.instances = instances
        self._command = command

    def prepare(self, driver: Driver) -> None:
        Base.metadata.create_all(driver.session.connection())

    def resourceOffers(self, driver: Driver, offers: list[dict[str, Any]]) -> None:  # noqa: N802
        running = select(Task.instance).where(Task.state.not_in(ENDED))
        missing = sorted(set(range(self.instances)) - set(driver.session.scalars(running)))
        for offer in offers:
            room = _room(offer)
            tasks = [
                self._task(driver, missing.pop(0), offer) for _ in range(min(room, len(missing)))
            ]
            # Declines the offer if there is nothing to launch. Sent once the rows are durable.
            driver.launchTasks(offer["id"], tasks, {"refuse_seconds": 1.0})

    def _task(self, driver: Driver, instance: int, offer: dict[str, Any]) -> dict[str, Any]:
        launches = select(func.count()).where(Task.instance == instance)
        number = driver.session.scalar(launches)
        task = Task(id=f"instance-{instance}-{number}", instance=instance, state="TASK_STAGING")
        driver.session.add(task)
        return {
            "name": f"instance-{instance}",
            "task_id": {"value": task.id},
            "agent_id": offer["agent_id"],
            "command": {"value": self._command},
            "resources": [
                {"name": name, "type": "SCALAR", "scalar": {"value": value}}
                for name, value in NEEDS.items()
            ],
        }

    def statusUpdate(self, driver: Driver, update: dict[str, Any]) -> None:  # noqa: N802
        task = driver.session.get(Task, update["task_id"]["value"])
        if task is None:  # not ours: perhaps from before the store was lost
            driver.killTask(update["task_id"])
            return
        if "uuid" in update:  # the answer to a question has none
            event = {"uuid": update["uuid"], "task": task.id, "state": update["state"]}
            driver.session.execute(insert(TaskEvent).values(event).on_conflict_do_nothing())
        if task.state not in ENDED:
            task.state = update["state"]
            if task.state in ENDED:
                driver.reviveOffers()
        elif update["state"] not in ENDED:  # it was given up, and is back
            driver.killTask(update["task_id"])

    def openTasks(self, driver: Driver) -> list[dict[str, Any]]:  # noqa: N802
        open_tasks = select(Task.id).where(Task.state.not_in(ENDED))
        return [{"task_id": {"value": each}} for each in driver.session.scalars(open_tasks)]


def _room(offer: dict[str, Any]) -> int:
    """How many tasks fit into an offer."""
    has = dict.fromkeys(NEEDS, 0.0)
    for resource in offer["resources"]:
        if resource["name"] in has:
            has[resource["name"]] += resource["scalar"]["value"]
    return int(min(has[name] / NEEDS[name] + 1e-6 for name in NEEDS))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line. Secrets come from the environment alone."""
    parser = argparse.ArgumentParser(prog="python -m aurora_store.framework.example")
    add = parser.add_argument
    add("--name", required=True, help="of this candidate, such as its host's")
    add("--directory", required=True, help="of this replica of the store")
    add("--address", required=True, help="IP:PORT of this replica")
    add("--zookeeper", help="zk://HOST:PORT,.../PREFIX where the candidates meet")
    add("--peers", help="HOST:PORT,... of all replicas, in place of --zookeeper")
    add("--quorum", type=int, help="majority of the replicas, with --zookeeper")
    add("--session-timeout", type=float, default=10.0, help="of ZooKeeper, in seconds")
    add("--http", help="IP:PORT of the status page; beyond loopback it needs a token")
    add("--mesos", required=True, help="HOST:PORT or zk://HOST:PORT,.../mesos")
    add("--instances", type=int, default=3)
    add("--command", default="sleep 1000000", help="what an instance runs")
    add("--auto-initialize", action="store_true", help="for the very first start")
    add("--forget-framework", metavar="ID", help="register a new one in its place")
    options = parser.parse_args(arguments)
    if bool(options.zookeeper) == bool(options.peers):
        parser.error("give either --zookeeper or --peers")
    return options


def build(options: argparse.Namespace) -> tuple[Store, Framework]:
    """The store and the framework on it, not started yet."""
    http = options.http or ""
    member = Member(options.name, http, {METADATA_KEY: http} if http else {})
    settings: dict[str, Any] = {"address": options.address, "host": http or options.name}
    settings["auto_initialize"] = options.auto_initialize or None
    if options.peers:
        store = Store.open(options.directory, peers=options.peers.split(","), **settings)
        election: Election = HeartbeatElection(store, member=member)
    else:
        credentials = os.environ.pop("AURORA_STORE_ZOOKEEPER_CREDENTIALS", "")
        servers = options.zookeeper.removeprefix("zk://")
        prefix = f"zk://{credentials}@{servers}" if credentials else f"zk://{servers}"
        election = ZooKeeperElection(
            f"{prefix}/election", member=member, session_timeout=options.session_timeout
        )
        store = Store.open(
            options.directory, zookeeper=f"{prefix}/log", quorum=options.quorum, **settings
        )
    framework = Framework(
        store,
        election,
        KeepRunning(options.instances, options.command),
        info={"name": "example", "user": "nobody"},
        master=options.mesos,
        forget=options.forget_framework,
    )
    return store, framework


def main() -> None:
    """Runs until SIGTERM. Exit codes: 2 for wrong usage, else those of `aurora_store.errors`."""
    options = parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aurora_store.libmesos").setLevel(logging.WARNING)
    try:
        with ExitStack() as stack:
            store, framework = build(options)
            stack.enter_context(store)
            if options.http:  # on standbys, too
                secret = os.environ.pop("AURORA_STORE_MONITORING_TOKEN", None)
                page = MonitoringServer(store, address=options.http, token=secret)
                stack.enter_context(page).candidate = framework.candidate
                page.registry.register(FrameworkCollector(framework))
            framework.run()
    except StoreError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        sys.exit(exc.exit_code)
    except (ValueError, OSError) as exc:
        print(f"Error: {exc}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
