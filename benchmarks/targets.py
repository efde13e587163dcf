"""What the project wants to reach, beside what the rows of a run say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.settings import Row, Spread, middle

Results = dict[str, Any]  # name of a benchmark -> {"rows": [...], ...}


class _Measured(NamedTuple):
    """One number of a run that has a target."""

    case: str
    value: float | Spread
    at_least: float | None = None
    at_most: float | None = None


def compute(results: Results) -> list[Row]:
    """A row for each target that this run has measured."""
    rows = []
    for target, find in _TARGETS.items():
        for measured in find(results):
            rows.append(
                {
                    "target": target,
                    "case": measured.case,
                    "measured": measured.value,
                    "met": _verdict(measured),
                }
            )
    return rows


def _verdict(measured: _Measured) -> str:
    """Unclear: the middle half of the rounds lies on both sides."""
    values = measured.value if isinstance(measured.value, list) else [measured.value]
    met = {
        (measured.at_least is None or value >= measured.at_least)
        and (measured.at_most is None or value <= measured.at_most)
        for value in values
    }
    return "unclear" if len(met) > 1 else "yes" if met.pop() else "no"


def _rows(results: Results, benchmark: str, **wanted: Any) -> list[Row]:
    rows = results.get(benchmark, {}).get("rows", [])
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def _settings(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "raw-append", worker_threads="default"):
        yield _Measured(_nodes(row), row["faster_than_stock"], at_least=2.0)


def _one_writer(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "commits", writers=1):
        yield _Measured(f"{_nodes(row)}, {row['interface']}", row["p50_to_raw"], at_most=1.15)


def _many_writers(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "commits", writers=64, replicas=3):
        yield _Measured(row["interface"], row["rate_to_stock"], at_least=25.0)


def _rivals(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "rivals", writers=64):
        if row["system"] != "aurora-store":
            yield _Measured(f"{row['system']}, {row['client']}", row["store_to_it"], at_least=1.0)


def _beside_snapshot(column: str, at_most: float) -> Callable[[Results], Iterator[_Measured]]:
    def find(results: Results) -> Iterator[_Measured]:
        for row in _rows(results, "upkeep"):
            if column in row:
                yield _Measured(f"{row['rows']:,} rows", row[column], at_most=at_most)

    return find


def _log_bytes(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "log-bytes"):
        case = f"{row['change']}, {row['tasks']:,} tasks"
        yield _Measured(case, row["bytes_per_transaction"], at_most=600.0)


def _takeover(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "takeover"):
        yield _Measured(f"{row['database_mb']:,.0f} MB", row["won_to_raw"], at_most=10.0)


def _takeover_by_size(results: Results) -> Iterator[_Measured]:
    rows = _rows(results, "takeover")
    if len(rows) > 1:
        small, large = rows[0], rows[-1]
        ratio = middle(large["won_to_raw"]) / middle(small["won_to_raw"])
        size = large["database_mb"] / small["database_mb"]
        yield _Measured(f"a database {size:,.0f} times as large", round(ratio, 2), at_most=1.5)


def _cold_start(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "cold-start", way="store"):
        yield _Measured(f"{row['tasks']:,} tasks", row["faster_than_stock"], at_least=5.0)


def _cold_memory(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "cold-start", way="store"):
        if "peak_slope" in row:
            yield _Measured(f"up to {row['tasks']:,} tasks", row["peak_slope"], at_most=1.5)


def _first_entry(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "streaming", way="stream")[1::2]:  # whole logs
        yield _Measured(_log(row), row["first_to_read"], at_most=1.0)


def _all_entries(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "streaming", way="stream")[1::2]:  # whole logs
        yield _Measured(_log(row), row["total_to_read"], at_most=1.0)


def _stream_memory(results: Results) -> Iterator[_Measured]:
    rows = _rows(results, "streaming", way="stream")
    for half, whole in zip(rows[::2], rows[1::2], strict=True):
        ratio = whole["peak_added_mb"] / half["peak_added_mb"]
        yield _Measured(_log(whole), round(ratio, 2), at_most=1.25)


def _point_reads(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "point-reads", database="store"):
        yield _Measured(f"transaction: {row['transaction']}", row["rate_to_plain"], at_least=0.9)


def _status_updates(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "status-updates"):
        for step in ("recorded", "acknowledged"):
            case = f"{step}, bursts of {row['burst']:,}, statements {row['statements']}"
            yield _Measured(case, row[f"{step}_to_raw"], at_least=20.0)


def _aurora_rows(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "aurora-storage"):
        yield _Measured(f"{row['benchmark']}, {row['size']:,}", row["faster"], at_least=1.0)


def _aurora_counts(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "aurora-storage"):
        if row["benchmark"].startswith(("role summaries", "limit", "job keys")):
            yield _Measured(f"{row['benchmark']}, {row['size']:,}", row["faster"], at_least=10.0)


def _aurora_footprint(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "aurora-footprint"):
        limit = 600.0 if row["measured"].startswith("memory") else 1024.0
        yield _Measured(f"{row['measured']} <= {limit:g}", row["bytes_each"], at_most=limit)


def _memory_log(results: Results) -> Iterator[_Measured]:
    for row in _rows(results, "memory-log", interface="DB-API"):
        yield _Measured(
            f"{row['writers']} writer{'s' if row['writers'] > 1 else ''}",
            row["per_core_s"],
            at_least=20_000.0,
        )


def _nodes(row: Row) -> str:
    return f"{row['replicas']} replica{'s' if row['replicas'] > 1 else ''}"


def _log(row: Row) -> str:
    return f"{row['read_mb']:,.0f} MB in entries of {row['entry_bytes']:,} bytes"


_TARGETS: dict[str, Callable[[Results], Iterator[_Measured]]] = {
    "default settings >= 2 x the stock ones (median append)": _settings,
    "1 writer: median commit <= 1.15 x raw append of that size": _one_writer,
    "64 writers, 3 replicas >= 25 x stock rate of raw appends": _many_writers,
    "64 writers, 3 replicas: rate >= 1 x a rival's": _rivals,
    "log bytes per transaction <= 600": _log_bytes,
    "commits beside a snapshot: median <= 2 x of those without": _beside_snapshot(
        "p50_to_without", 2.0
    ),
    "commits beside a snapshot: longest <= 5 x of those without": _beside_snapshot(
        "max_to_without", 5.0
    ),
    "takeover, election won to first commit <= 10 raw appends": _takeover,
    "takeover, of a large database <= 1.5 x of a small one": _takeover_by_size,
    "cold start >= 5 x as fast as log.read and inserting": _cold_start,
    "cold start: memory <= 1.5 x database + constant (slope)": _cold_memory,
    "stream: time to first entry <= 1 x that of read": _first_entry,
    "stream: total time <= 1 x that of read": _all_entries,
    "stream: peak memory for twice the length <= 1.25 x": _stream_memory,
    "point reads >= 0.9 x plain in-memory SQLite (rate)": _point_reads,
    "status updates, recorded and acknowledged >= 20 x raw appends": _status_updates,
    "the model: not slower than maps of copied objects": _aurora_rows,
    "the model: counts and limits >= 10 x as fast as such maps": _aurora_counts,
    "the model: bytes for each task": _aurora_footprint,
    "commits without the log >= 20,000 per second of processor": _memory_log,
}
