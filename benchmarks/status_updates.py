"""Status updates of Mesos: recorded in the store, then acknowledged, beside raw appends.

A real master and agent, and an executor of a thousand tasks. The updates of a burst wait in the
scheduler while something else holds the write lock; what is measured is the time from its release
until every update is durable on a majority of three replicas, and until the master has taken every
acknowledgement, one HTTP call each: the latter is mostly the master's own time.
"""

from __future__ import annotations

import shlex
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text

from aurora_store.dev import MesosCluster
from aurora_store.election import HeartbeatElection, Member
from aurora_store.framework import Driver, Framework, Scheduler
from benchmarks import replicas
from benchmarks.raw_append import ENTRY_BYTES
from benchmarks.settings import Row, Settings, spread
from benchmarks.threads import rate

BURST = 1000

_LIMIT_S = 120.0
_QUIET_S = 1.0  # without another update: all of the burst have come
_UPDATE = text("UPDATE task SET state = :state WHERE id = :id")
_EVENT = text("INSERT OR IGNORE INTO task_event VALUES (:uuid, :id, :state)")

_framework: Framework | None = None  # of the process that leads


def run(settings: Settings) -> list[Row]:
    """A row for each way to write: one statement for each update, and one for all of a batch.

    Raw appends take turns with the bursts, on a log of three replicas that is idle otherwise.
    """
    rows = []
    with (
        MesosCluster(1, resources=f"cpus:{BURST};mem:{BURST};disk:0") as mesos,
        replicas.logs(settings.directory, 3) as raw,
    ):
        for way in ("each", "together"):
            times: list[tuple[float, float]] = []
            raw_rates: list[float] = []
            with replicas.stores(settings.directory, 3, heartbeat=1.0) as ensemble:
                leader = ensemble.processes[0]
                leader.call(_begin, mesos.master, way)
                for _ in range(3 if settings.quick else 10):
                    appends = raw.processes[0].call(
                        replicas.append_for, settings.round_s / 2, ENTRY_BYTES
                    )
                    raw_rates.append(rate(appends))
                    times.append(leader.call(_burst))
                leader.call(_end)
            rows.append(_row_of(way, times, raw_rates))
    return rows


def _row_of(way: str, times: list[tuple[float, float]], raw_rates: list[float]) -> Row:
    row: Row = {"statements": way, "burst": BURST, "bursts": len(times)}
    for step, seconds in zip(("recorded", "acknowledged"), zip(*times, strict=True), strict=True):
        row[f"{step}_ms"] = round(1e3 * statistics.median(seconds), 1)
        row[f"{step}_per_s"] = round(BURST / statistics.median(seconds), 1)
        row[f"{step}_to_raw"] = spread(
            [BURST / each / raw for each, raw in zip(seconds, raw_rates, strict=True)], 1
        )
    return row


class Each(Scheduler):
    """Writes each update with statements of its own."""

    def __init__(self) -> None:
        self.launched = False
        self.where: tuple[Any, Any] | None = None

    def prepare(self, driver: Driver) -> None:
        for statement in (
            "CREATE TABLE task (id TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID",
            "CREATE TABLE task_event (uuid TEXT PRIMARY KEY, task TEXT, state TEXT) WITHOUT ROWID",
        ):
            driver.session.execute(text(statement))

    def resourceOffers(self, driver: Driver, offers: list[dict[str, Any]]) -> None:  # noqa: N802
        if self.launched:
            return
        self.launched = True
        agent = offers[0]["agent_id"]
        program = shlex.join([sys.executable, "-m", "benchmarks.burst_executor"])
        root = Path(__file__).parents[1]
        executor = {
            "type": "CUSTOM",
            "executor_id": {"value": "burst"},
            "framework_id": {"value": driver.framework_id},
            "command": {"value": f"PYTHONPATH={shlex.quote(str(root))} exec {program}"},
        }
        little = [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.01}}]
        names = [f"task-{number}" for number in range(BURST)]
        rows = [{"id": name} for name in names]
        driver.session.execute(text("INSERT INTO task VALUES (:id, 'TASK_STAGING')"), rows)
        tasks = [
            {
                "name": name,
                "task_id": {"value": name},
                "agent_id": agent,
                "executor": executor,
                "resources": little,
            }
            for name in names
        ]
        self.where = {"value": "burst"}, agent
        driver.launchTasks(offers[0]["id"], tasks)

    def statusUpdate(self, driver: Driver, update: dict[str, Any]) -> None:  # noqa: N802
        row = _row(update)
        driver.session.execute(_UPDATE, row)
        driver.session.execute(_EVENT, row)


class Together(Each):
    """Writes all that arrived together with two statements."""

    def statusUpdates(self, driver: Driver, updates: Any) -> None:  # noqa: N802
        rows = [_row(update) for update in updates]
        driver.session.execute(_UPDATE, rows)
        driver.session.execute(_EVENT, rows)


def _row(update: dict[str, Any]) -> dict[str, Any]:
    return {
        "uuid": update.get("uuid", update["task_id"]["value"]),
        "id": update["task_id"]["value"],
        "state": update["state"],
    }


def _begin(master: str, way: str) -> None:
    global _framework
    store = replicas.store()
    _framework = Framework(
        store,
        HeartbeatElection(store, member=Member("bench")),
        Together() if way == "together" else Each(),
        info={"name": way, "user": "nobody", "checkpoint": False},
        master=master,
    )
    _framework.start()
    _framework.wait_active()
    _wait(lambda scheduler: scheduler.where is not None)


def _burst() -> tuple[float, float]:
    """Seconds until all were durable, and until all were acknowledged."""
    assert _framework is not None
    store, driver = replicas.store(), _framework.driver
    executor, agent = _framework.scheduler.where
    before = _framework.status
    with store.begin():  # nobody else can write as long as this lasts
        driver.sendFrameworkMessage(executor, agent, "")
        queued, since = 0, time.monotonic()
        while time.monotonic() - since < _QUIET_S or queued < BURST // 2:
            waiting = _framework.status.events_queued
            if waiting != queued:
                queued, since = waiting, time.monotonic()
            if time.monotonic() - since > _LIMIT_S:
                raise TimeoutError(f"{queued} updates came in {_LIMIT_S:g} s")
            time.sleep(0.01)
        begin = time.perf_counter()
    recorded = None
    while True:
        now, elapsed = _framework.status, time.perf_counter() - begin
        if recorded is None and now.updates_recorded >= before.updates_recorded + BURST:
            recorded = elapsed
        if now.updates_acknowledged >= before.updates_acknowledged + BURST:
            assert recorded is not None
            return recorded, elapsed
        if elapsed > _LIMIT_S:
            raise TimeoutError(f"{now} after {_LIMIT_S:g} s")
        time.sleep(0.001)


def _end() -> None:
    assert _framework is not None
    _framework.driver.stop(failover=False)
    _framework.close()


def _wait(done: Any) -> None:
    assert _framework is not None
    end = time.monotonic() + _LIMIT_S
    while not done(_framework.scheduler):
        if time.monotonic() > end:
            raise TimeoutError("no offer")
        time.sleep(0.01)
    time.sleep(5.0)  # until the tasks are there
