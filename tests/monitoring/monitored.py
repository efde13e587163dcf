"""Replicas with monitoring servers, and what is asked of these."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from harness import LIMIT, Worker, spawn
from prometheus_client.parser import text_string_to_metric_families
from stores import Cluster

from aurora_store.libmesos import fetch

_WORKER = Path(__file__).with_name("monitoring_worker.py")

NAMES = ("red", "green", "blue")


def spawn_store(workers: ExitStack, **options: Any) -> Worker:
    """Opens a store that can be monitored, in a process of its own."""
    worker = workers.enter_context(spawn(_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())}))
    worker.call("open_store", **options)
    return worker


class Monitored(Cluster):
    """Three replicas, each with a monitoring server."""

    def __init__(self, workers: ExitStack, directory: Path, **monitoring: Any) -> None:
        super().__init__(workers, directory)
        self.monitors = [each.call("serve", **monitoring) for each in self.replicas]

    def _spawn(self, number: int, **options: Any) -> Worker:
        return spawn_store(
            self._workers,
            directory=str(self.directory / str(number)),
            address=self.addresses[number],
            peers=self.addresses,
            host=f"{NAMES[number]}:8080",
            **options,
        )

    def lead(self, number: int) -> None:
        """Lets one lead, and waits until all have heard of it."""
        self.replicas[number].call("lead")
        self.replicas[number].call("commit", count=3)
        position = self.replicas[number].call("status")["position"]
        for replica in self.replicas:
            replica.call("wait_for", position=position)


def get(address: str, path: str, method: str = "GET", **headers: str) -> requests.Response:
    """One request, without what the environment adds to it."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"http://{address}{path}", headers=headers, timeout=LIMIT)


def metrics(address: str) -> dict[str, dict[tuple[str, ...], float]]:
    """What a scrape gives: name -> values of the labels -> number."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(get(address, "/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def metric(address: str, name: str) -> float:
    """A metric without labels, of the store."""
    return metrics(address)[f"aurora_store_{name}"][()]


def wait_health(address: str, code: int) -> dict[str, Any]:
    """The body, once ``/healthz`` has that code."""
    deadline = time.monotonic() + LIMIT
    while (answer := get(address, "/healthz")).status_code != code:
        assert time.monotonic() < deadline, f"{answer.status_code} {answer.text}"
        time.sleep(0.05)
    return dict(answer.json())
