"""A day of a scheduler, compressed in time, with all that keeps a store in bounds switched on.

Three replicas. The leader records the lives of tasks and prunes those that ended; snapshots,
truncation and compaction happen by policy. Meanwhile a standby is killed and restarted again and
again, and the bytes of every replica's directory, its memory and how long the standby took are
written down. A store that leaks shows it here as a line that rises.

The day is 172,800 lives of tasks, two a second, of five transactions each: created, assigned,
starting, running and finished; 10 transactions a second, and one more for each thousand lives, that
prunes. A cluster of the largest size that Apache Aurora's documents tell of, of some tens of
thousands of tasks, so starts each of its tasks several times a day.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from aurora_store import driver
from aurora_store.log.directory import disk_usage
from aurora_store.maintenance import HistoryPolicy, Policies, SnapshotPolicy
from benchmarks import plots, replicas, report, tasks
from benchmarks.page import fill_places
from benchmarks.processes import Process
from benchmarks.settings import Row, spread

LIVES_A_DAY = 2 * 86_400
STATUSES = ("PENDING", "ASSIGNED", "STARTING", "RUNNING", "FINISHED")
_RUNNING = 20_000  # tasks that live at any time
_KEPT = 20_000  # tasks that ended and are not pruned yet
_WRITERS = 8
_SAMPLE_EVERY_S = 2.0
_PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
_MB = 1e6

_INSERT_TASK = "INSERT INTO task VALUES (?, ?, ?, ?, ?, ?)"
_PRUNE_EVENTS = "DELETE FROM event WHERE task BETWEEN ? AND ?"
_PRUNE_TASKS = "DELETE FROM task WHERE id BETWEEN ? AND ?"
_PRUNED_AT_ONCE = 1000


# ---- in the leader's process ----


class _Load:
    """The lives of tasks, by several writers: task `n` is created while the one that was created
    `_RUNNING` lives ago finishes."""

    def __init__(self, lives: int, seconds: float) -> None:
        self._begin = time.perf_counter()
        self._lives, self._seconds = lives, seconds
        self._lock = threading.Lock()
        self._next = _RUNNING + 1  # guarded by _lock
        self._done = 0  # guarded by _lock
        self._slowest = 0.0  # guarded by _lock
        self.failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._write) for _ in range(_WRITERS)]
        for thread in self._threads:
            thread.start()

    def progress(self) -> dict[str, float]:
        """Lives so far, and the slowest transaction since the last call, in milliseconds."""
        with self._lock:
            slowest, self._slowest = self._slowest, 0.0
            done = self._done
        if self.failures:
            raise self.failures[0]
        running = any(thread.is_alive() for thread in self._threads)
        return {"lives": done, "slowest_ms": slowest * 1e3, "running": running}

    def _write(self) -> None:
        connection = driver.connect(replicas.store().name)
        try:
            for number in self._numbers():
                self._live(connection, number)
        except BaseException as error:
            self.failures.append(error)

    def _numbers(self) -> Iterator[int]:
        while not self.failures:
            with self._lock:
                if self._done >= self._lives:
                    return
                number, self._next, self._done = self._next, self._next + 1, self._done + 1
                due = self._begin + self._done / self._lives * self._seconds
            time.sleep(max(0.0, due - time.perf_counter()))
            yield number

    def _live(self, connection: Any, number: int) -> None:
        at, first = tasks.now_ms(), tasks.row(number)
        with self._timed(connection):
            connection.execute(_INSERT_TASK, first)
            connection.execute(tasks.INSERT, (number, at, STATUSES[0]))
        for status in STATUSES[1:-1]:
            self._change(connection, number, status)
        self._change(connection, number - _RUNNING, STATUSES[-1])
        if number % _PRUNED_AT_ONCE == 0 and number > _RUNNING + _KEPT:
            last = number - _RUNNING - _KEPT
            with self._timed(connection):
                connection.execute(_PRUNE_EVENTS, (last - _PRUNED_AT_ONCE + 1, last))
                connection.execute(_PRUNE_TASKS, (last - _PRUNED_AT_ONCE + 1, last))

    def _change(self, connection: Any, number: int, status: str) -> None:
        at = tasks.now_ms()
        with self._timed(connection):
            connection.execute(tasks.UPDATE, (status, at, number))
            connection.execute(tasks.INSERT, (number, at, status))

    def _timed(self, connection: Any) -> _Transaction:
        return _Transaction(self, connection)

    def took(self, seconds: float) -> None:
        """Of one transaction."""
        with self._lock:
            self._slowest = max(self._slowest, seconds)


class _Transaction:
    """A transaction whose time counts."""

    def __init__(self, load: _Load, connection: Any) -> None:
        self._load, self._connection = load, connection

    def __enter__(self) -> None:
        self._begin = time.perf_counter()
        self._connection.begin()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._connection.commit()
            self._load.took(time.perf_counter() - self._begin)


_load: _Load | None = None


def begin_load(lives: int, seconds: float) -> None:
    """Makes the tables and the tasks that live, and lets the day begin."""
    global _load
    replicas.lead_and_fill(_RUNNING)
    connection = replicas.connect()
    connection.execute("BEGIN")
    connection.execute("CREATE INDEX event_by_task ON event (task)")
    connection.commit()
    _load = _Load(lives, seconds)


def look_at_load() -> dict[str, float]:
    """How far the day is."""
    assert _load is not None
    return _load.progress()


# ---- in every replica's process ----


def open_replica(directory: str, **options: Any) -> float:
    """Opens a replica, and returns once it has read the log: how long that took in seconds."""
    begin = time.perf_counter()
    replicas.open_store(directory, **options)
    replicas.store_ready()
    return time.perf_counter() - begin


def look_at_replica() -> dict[str, Any]:
    """What a replica says of itself."""
    status = replicas.store().status()
    maintenance = status.maintenance
    assert maintenance is not None
    return {
        "beginning": maintenance.log_beginning,
        "position": status.position,
        "snapshot": status.snapshot.position,
        "database_mb": status.pages * 4096 / _MB,
        "failures": sum(job.failures for job in maintenance.jobs),
        "jobs": {job.name: job.done for job in maintenance.jobs},
    }


def _resident_mb(process: Process) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / _MB
    raise RuntimeError("the kernel does not tell the memory of a process")


# ---- the run ----


def run(directory: Path, lives: int, seconds: float, policies: Policies) -> dict[str, Any]:
    """A day of `lives`, spread over `seconds`, or longer if the machine is too slow for that."""
    samples: list[Row] = []
    restarts: list[Row] = []
    options = {"maintenance": policies}
    with replicas.stores(directory, 3, **options) as ensemble:
        leader = ensemble.processes[0]
        leader.call(begin_load, lives, seconds)
        begin = time.perf_counter()
        restart_at = restart_every = seconds / 12
        while True:
            load = leader.call(look_at_load)
            elapsed = time.perf_counter() - begin
            says = leader.call(look_at_replica)
            samples.append(
                {
                    "hour": load["lives"] / lives * 24,
                    "elapsed_s": elapsed,
                    "slowest_ms": load["slowest_ms"],
                    "disk_mb": [
                        disk_usage(ensemble.directory / str(number)) / _MB for number in range(3)
                    ],
                    "memory_mb": [_resident_mb(process) for process in ensemble.processes],
                    **says,
                }
            )
            if not load["running"]:
                break
            if elapsed >= restart_at:
                restart_at += restart_every
                restarts.append(_restart(ensemble, load["lives"] / lives * 24))
            time.sleep(_SAMPLE_EVERY_S)
        equal = len({process.call(_checksum, says["position"]) for process in ensemble.processes})
    return {"samples": samples, "restarts": restarts, "replicas_differ": equal > 1}


def _restart(ensemble: replicas.Ensemble, hour: float) -> Row:
    ensemble.processes[2].kill()
    taken = ensemble.reopen(2, open_replica)
    return {"hour": hour, "start_up_s": taken}


def _checksum(position: int) -> tuple[int, int]:
    """Once nothing is written any more: what this replica holds, recomputed from its pages."""
    store = replicas.store()
    store.wait_caught_up(timeout=60.0)
    recomputed, rolling = store.verify_checksum()
    if recomputed != rolling:
        raise AssertionError("a replica's memory does not match its checksum")
    return store.status().version, recomputed


def quarters(found: dict[str, Any]) -> list[Row]:
    """The table: the four quarters of the day beside each other."""
    rows = []
    for number in range(4):
        first, last = number * 6, number * 6 + 6
        samples = [s for s in found["samples"] if first <= s["hour"] <= last]
        starts = [r["start_up_s"] for r in found["restarts"] if first <= r["hour"] <= last]
        rows.append(
            {
                "hours": f"{first} to {last}",
                "disk_of_a_replica_mb": spread([each for s in samples for each in s["disk_mb"]], 0),
                "largest_mb": round(max(each for s in samples for each in s["disk_mb"])),
                "memory_leader_mb": spread([s["memory_mb"][0] for s in samples], 0),
                "memory_standby_mb": spread([s["memory_mb"][1] for s in samples], 0),
                "start_up_s": spread(starts) if starts else "",
                "log_positions": spread([s["position"] - s["beginning"] for s in samples], 0),
                "slowest_transaction_ms": round(max(s["slowest_ms"] for s in samples)),
            }
        )
    return rows


def _said(found: dict[str, Any], lives: int) -> str:
    last = found["samples"][-1]
    jobs = last["jobs"]
    return (
        f"{lives:,} lives of tasks, {5 * lives + lives // _PRUNED_AT_ONCE:,} transactions, in"
        f" {last['elapsed_s'] / 60:.1f} minutes: compressed {86_400 / last['elapsed_s']:.0f} times."
        f" The leader took {jobs['snapshot']} snapshots and truncated the log"
        f" {jobs['truncation']} times; a standby was killed and restarted"
        f" {len(found['restarts'])} times. Jobs that failed: {last['failures']}. At the end the"
        f" replicas are {'NOT ' if found['replicas_differ'] else ''}equal, by the checksums over"
        " all their pages."
    )


@click.command(help=__doc__)
@click.option("--minutes", type=float, default=12.0, show_default=True, help="For the whole day.")
@click.option("--share", type=float, default=1.0, help="Only this share of the day's lives.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write a document too.")
@click.option(
    "--page", type=click.Path(path_type=Path, exists=True), help="Put table and plot there."
)
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False))
def main(
    minutes: float, share: float, json_path: Path | None, page: Path | None, directory: Path | None
) -> None:
    console = Console(width=None if Console().is_terminal else 200)
    facts = report.machine()
    lives = int(LIVES_A_DAY * share)
    policies = Policies(
        snapshot=SnapshotPolicy(min_bytes=16 << 20, times_database=1.0),
        history=HistoryPolicy(snapshots=2),
        interval=1.0,
    )
    scratch = Path(tempfile.mkdtemp(prefix="aurora-reliability-", dir=directory))
    try:
        with console.status(f"{lives:,} lives of tasks"):
            found = run(scratch, lives, minutes * 60, policies)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    rows = quarters(found)
    said = _said(found, lives)
    report.print_table(console, "A day, in quarters", rows)
    console.print(said, soft_wrap=True)
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps({"machine": facts, **found}, indent=2) + "\n")
    if page is not None:
        parts = {
            "machine": report.machine_line(facts) + ".",
            "day": f"{said}\n\n{report.markdown_table(rows)}",
        }
        page.write_text(fill_places(page.read_text(), parts))
        plots.draw_reliability(found, page.parent / "reliability.svg")


if __name__ == "__main__":
    main()
