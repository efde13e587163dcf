"""Keeping a database: a snapshot beside live commits, truncation, backup, restore, cold start.

Three replicas. One writer commits all the time; the commits before and after the snapshot are what
those beside it are compared with, so that a drift of the machine counts for both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from aurora_store.backup import verify
from aurora_store.log.directory import disk_usage
from aurora_store.maintenance import (
    HistoryPolicy,
    Policies,
    execute_truncation,
    plan_truncation,
)
from benchmarks import replicas, tasks
from benchmarks.memory import peak_mb
from benchmarks.settings import Row, Settings, percentile

_LARGE, _SMALL, _QUICK = 4_000_000, 150_000, 5_000  # rows of about 340 bytes
_LIMIT_S = 600.0
_MB = 1e6
# Each replica frees its own disk; the rest happens when it is measured.
_POLICIES = Policies(snapshot=None, history=None, interval=0.2)

Commits = list[tuple[float, float]]  # when each ended, and how long it took, in seconds


def run(settings: Settings) -> list[Row]:
    """A row for each step."""
    sizes = [_QUICK if settings.quick else _SMALL]
    if settings.large:
        sizes.append(_LARGE)
    return [row for size in sizes for row in _measure(settings, size)]


def _measure(settings: Settings, size: int) -> list[Row]:
    rows: list[Row] = []
    with replicas.stores(settings.directory, 3, maintenance=_POLICIES) as ensemble:
        leader, standby, restarted = ensemble.processes

        def step(name: str, **columns: Any) -> None:
            disk = disk_usage(ensemble.directory / "0") / _MB
            rows.append({"rows": size, "step": name, **columns, "log_directory_mb": round(disk, 1)})

        begin = time.perf_counter()
        leader.call(replicas.lead_and_fill, size)
        step("filled", seconds=round(time.perf_counter() - begin, 2))
        found = leader.call(snapshot_beside_commits, size, settings.case_s)
        step("snapshot, one writer commits", **found)
        step("truncation: read back, verified, executed", **leader.call(truncate))
        begin = time.perf_counter()
        for process in ensemble.processes:
            process.call(wait_for_compaction)
        step("every replica's disk compacted", seconds=round(time.perf_counter() - begin, 2))
        restarted.kill()
        step("cold start from the snapshot", **ensemble.reopen(2, cold_start))
        backup = ensemble.directory / "backup.db"
        step("backup, by a standby", **standby.call(back_up, str(backup)))
        leader.call(change_every_row)
        step("restore of that backup", **leader.call(restore, str(backup)))
    return rows


# ---- in the replicas' processes ----


def snapshot_beside_commits(size: int, seconds: float) -> Row:
    """Commits for so long, then beside a snapshot until it is complete, and for so long again."""
    store = replicas.store()
    connection, pick = replicas.connect(), tasks.picker(1, size)
    tasks.change(connection, pick())
    stop = threading.Event()
    commits: Commits = []
    failures: list[BaseException] = []

    def write() -> None:
        try:
            while not stop.is_set():
                begin = time.perf_counter()
                tasks.change(connection, pick())
                end = time.perf_counter()
                commits.append((end, end - begin))
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    origin = time.perf_counter()
    writer.start()
    time.sleep(seconds)
    before = store.status()
    begin = time.perf_counter()
    store.snapshot(timeout=_LIMIT_S)
    end = time.perf_counter()
    after = store.status()
    time.sleep(seconds)
    stop.set()
    writer.join()
    if failures:
        raise failures[0]
    beside = [took for at, took in commits if begin <= at <= end]
    without = [took for at, took in commits if not begin <= at <= end]
    middle, middle_without = percentile(beside, 0.5), percentile(without, 0.5)
    return {
        "seconds": round(end - begin, 2),
        "log_mb": round((after.bytes_appended - before.bytes_appended) / _MB, 1),
        "peak_mb": round(peak_mb()),
        "commit_p50_ms": round(middle * 1e3, 2),
        "without_p50_ms": round(middle_without * 1e3, 2),
        "p50_to_without": round(middle / middle_without, 2),
        "commit_max_ms": round(max(beside) * 1e3, 1),
        "without_max_ms": round(max(without) * 1e3, 1),
        "max_to_without": round(max(beside) / max(without), 2),
        "_commits": _worst_of_each(commits, origin),
        "_snapshot": [begin - origin, end - origin],
    }


def _worst_of_each(commits: Commits, origin: float, width_s: float = 0.1) -> list[list[float]]:
    """For the plot: of each tenth of a second the time, the median and the worst commit in ms."""
    groups: dict[int, list[float]] = {}
    for at, took in commits:
        groups.setdefault(int((at - origin) / width_s), []).append(took * 1e3)
    return [
        [round(number * width_s, 1), round(percentile(group, 0.5), 3), round(max(group), 3)]
        for number, group in sorted(groups.items())
    ]


def _timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return round(time.perf_counter() - begin, 2)


def truncate() -> Row:
    """Lets the log begin with the snapshot."""
    store = replicas.store()

    def work() -> None:
        plan = plan_truncation(store, HistoryPolicy(snapshots=1))
        if not plan.positions:
            raise AssertionError(f"nothing to truncate: {plan.why}")
        execute_truncation(store, plan)

    return {"seconds": _timed(work), "peak_mb": round(peak_mb())}


def wait_for_compaction() -> None:
    """Until this replica's maintenance has compacted its directory."""
    deadline = time.monotonic() + _LIMIT_S
    while True:
        maintenance = replicas.store().status().maintenance
        assert maintenance is not None
        for job in maintenance.jobs:
            if job.name == "compaction" and job.done:
                return
            if job.failures:
                raise AssertionError(f"{job.name} failed: {job.error}")
        if time.monotonic() > deadline:
            raise TimeoutError("a replica did not compact its directory")
        time.sleep(0.05)


def back_up(path: str) -> Row:
    """A plain SQLite file, proved afterwards."""
    store = replicas.store()
    seconds = _timed(lambda: store.backup(path))
    begin = time.perf_counter()
    _, checks = verify(path)
    if wrong := [check.problem for check in checks if check.problem]:
        raise AssertionError(f"the backup is wrong: {wrong}")
    proved = round(time.perf_counter() - begin, 2)
    return {"seconds": seconds, "verify_s": proved, "peak_mb": round(peak_mb())}


def change_every_row() -> None:
    """What a bad deploy does."""
    connection = replicas.connect()
    connection.begin()
    connection.execute("UPDATE task SET status = 'GARBAGE'")
    connection.commit()


def restore(path: str) -> Row:
    """The file becomes the database again, as one transaction of the leader."""
    store = replicas.store()
    before = store.status().bytes_appended
    seconds = _timed(lambda: store.restore(path, force=True))
    connection = replicas.connect(read_only=True)
    left = connection.execute("SELECT count(*) FROM task WHERE status = 'GARBAGE'").fetchone()[0]
    if left:
        raise AssertionError(f"{left} rows are still those of after the backup")
    log_mb = (store.status().bytes_appended - before) / _MB
    return {"seconds": seconds, "log_mb": round(log_mb, 1), "peak_mb": round(peak_mb())}


def cold_start(directory: str, **options: Any) -> Row:
    """Opens a replica that has its log, until it can be read."""
    before = peak_mb()

    def work() -> None:
        replicas.open_store(directory, **options)
        replicas.store_ready()

    seconds = _timed(work)
    database_mb = replicas.store().status().pages * 4096 / _MB
    peak = peak_mb()
    return {
        "seconds": seconds,
        "peak_mb": round(peak),
        "peak_added_to_database": round((peak - before) / database_mb, 2),
        "database_mb": round(database_mb),
    }
