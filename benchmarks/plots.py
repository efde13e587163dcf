"""Drawings of what a run found, where matplotlib is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.settings import Row, percentile

Results = dict[str, Any]
_WRITERS = (1, 4, 16, 64)
# The same colour for a system in every plot.
_COLOURS = {
    ("aurora-store", "Python threads"): "tab:blue",
    ("etcd", "h2load (C)"): "tab:orange",
    ("PostgreSQL", "pgbench (C), pipelined"): "tab:green",
    ("PostgreSQL", "Python threads (psycopg)"): "tab:olive",
    ("zxlite", "Python threads"): "tab:purple",
}
_STYLE: Any = {
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "aurora-store",  # the same run gives the same file
}


def draw(results: Results, directory: Path) -> list[Path]:
    """Writes a file for each plot that the run has rows for; none without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return []
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    with pyplot.rc_context(_STYLE):
        for name, plot in _PLOTS.items():
            figure, axes = pyplot.subplots(figsize=(7.5, 5.0), layout="constrained")
            if plot(axes, results):
                path = directory / f"{name}.svg"
                figure.savefig(path, metadata={"Date": None})
                paths.append(path)
            pyplot.close(figure)
    return paths


def draw_reliability(found: dict[str, Any], path: Path) -> None:
    """A day with all policies on: disk, memory and the time that a restarted standby took."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    samples, restarts = found["samples"], found["restarts"]
    hours = [sample["hour"] for sample in samples]
    with pyplot.rc_context(_STYLE):
        figure, (disk, memory, start) = pyplot.subplots(
            3, 1, figsize=(7.5, 8.0), layout="constrained", sharex=True
        )
        names = ("leader", "standby", "standby that is killed")
        for number, name in enumerate(names):
            disk.plot(hours, [s["disk_mb"][number] for s in samples], label=name, linewidth=1)
            memory.plot(hours, [s["memory_mb"][number] for s in samples], label=name, linewidth=1)
        disk.set_title("Bytes of the log's directory, MB")
        memory.set_title("Resident memory of the process, MB")
        start.plot([r["hour"] for r in restarts], [r["start_up_s"] for r in restarts], "o")
        start.set_title("Seconds until the restarted standby had read the log")
        start.set_xlabel("hour of the day")
        start.set_xlim(0, 24)
        start.set_xticks(range(0, 25, 3))
        for axes in (disk, memory, start):
            axes.set_ylim(bottom=0)
        disk.legend(ncol=3, fontsize=9)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _commit_rate(axes: Any, results: Results) -> bool:
    rows = [row for row in _rows(results, "commits") if row["interface"] == "DB-API"]
    beside_rivals = _systems(results).get(("aurora-store", "Python threads"))
    for replicas, colour in ((3, "tab:blue"), (1, "lightskyblue")):
        own = [row for row in rows if row["replicas"] == replicas]
        if own:
            nodes = f"{replicas} replica{'s' if replicas > 1 else ''}"
            points = beside_rivals if replicas == 3 and beside_rivals else own
            _line(axes, points, "per_s", "-", colour, f"aurora-store, {nodes}")
            stock = percentile([row["stock_per_s"] for row in own], 0.5)
            label = f"stock raw appends, {nodes}"
            axes.axhline(stock, color=colour, linestyle=":", label=label)
    for (system, client), points in _systems(results).items():
        if system != "aurora-store":
            label = f"{system}, {client}"
            _line(axes, points, "per_s", "--", _COLOURS[system, client], label)
    axes.set_title("Durable writes a second, of 3 nodes where nothing else is said")
    return _by_writers(axes) if rows else False


def _commit_latency(axes: Any, results: Results) -> bool:
    series = _systems(results)
    if not series:
        rows = [row for row in _rows(results, "commits") if row["interface"] == "DB-API"]
        own = [row for row in rows if row["replicas"] == 3]
        series = {("aurora-store", "Python threads"): own} if own else {}
    for (system, client), points in series.items():
        colour = _COLOURS[system, client]
        _line(axes, points, "p50_ms", "-", colour, f"{system}, {client}")
        _line(axes, points, "p99_ms", ":", colour)
    axes.plot([], [], "-", color="0.3", label="median")
    axes.plot([], [], ":", color="0.3", label="99th percentile")
    axes.set_title("Milliseconds until a write is durable on a quorum of 3 nodes")
    return _by_writers(axes) if series else False


def _takeover(axes: Any, results: Results) -> bool:
    rows = _rows(results, "takeover")
    if not rows:
        return False
    steps = {
        "election": "election_ms",
        "catch-up": "catch_up_ms",
        "LEADER entry": "leader_entry_ms",
    }
    parts = {label: [row[column] for row in rows] for label, column in steps.items()}
    parts["rest of lead()"] = [
        row["lead_ms"] - sum(row[column] for column in steps.values()) for row in rows
    ]
    parts["first commit, with its connection"] = [row["first_commit_ms"] for row in rows]
    labels = [f"{row['database_mb']:,.0f} MB" for row in rows]
    left = [0.0] * len(rows)
    for label, widths in parts.items():
        axes.barh(labels, widths, left=left, label=label, height=0.4)
        left = [before + width for before, width in zip(left, widths, strict=True)]
    for row, label, end in zip(rows, labels, left, strict=True):
        text = f"  {row['total_ms']:.1f} ms; longest of {row['rounds']}: {row['longest_ms']:.1f} ms"
        axes.text(end, label, text, va="center")
    axes.set_title("Takeover: milliseconds from asking a standby to lead, median round")
    axes.set_xlim(0, 1.9 * max(left))
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.grid(False, axis="y")
    _legend(axes, 3)
    return True


def _cold_start(axes: Any, results: Results) -> bool:
    rows = _rows(results, "cold-start")
    if not rows:
        return False
    for way in dict.fromkeys(row["way"] for row in rows):
        points = [row for row in rows if row["way"] == way]
        sizes, seconds = [row["tasks"] for row in points], [row["load_s"] for row in points]
        axes.plot(sizes, seconds, marker="o", label=way)
        for size, taken in zip(sizes, seconds, strict=True):
            place = {"textcoords": "offset points", "xytext": (0, 8), "ha": "center"}
            axes.annotate(f"{taken:.2g} s", (size, taken), **place)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.1, y=0.15)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("tasks in the database")
    axes.set_title("Cold start: seconds until it can be read and written")
    axes.legend()
    return True


def _framework_takeover(axes: Any, results: Results) -> bool:
    rows = _rows(results, "framework-takeover")
    if not rows:
        return False
    for row in reversed(rows):
        ends = [row["min_ms"], row["max_ms"]]
        line = {"color": "lightskyblue", "linewidth": 8, "solid_capstyle": "butt"}
        axes.plot(ends, [row["step"]] * 2, **line)
        axes.plot(row["median_ms"], row["step"], "o", color="tab:blue")
        place = {"textcoords": "offset points", "xytext": (0, 10), "ha": "center"}
        median = row["median_ms"]
        text = f"{median:,.0f} ms" if median >= 100 else f"{median:.1f} ms"
        axes.annotate(text, (median, row["step"]), **place)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.margins(y=0.15)
    axes.set_title(
        f"Takeover of a Mesos framework, ms: {rows[0]['takeovers']} of them\n"
        "shortest to longest, and the median"
    )
    axes.grid(False, axis="y")
    return True


def _upkeep(axes: Any, results: Results) -> bool:
    rows = [row for row in _rows(results, "upkeep") if "_commits" in row]
    if not rows:
        return False
    row = rows[-1]  # the largest database
    seconds, median, worst = zip(*row["_commits"], strict=True)
    begin, end = row["_snapshot"]
    axes.axvspan(begin, end, color="tab:blue", alpha=0.1, label="snapshot under way")
    axes.plot(
        seconds, worst, color="tab:orange", linewidth=0.8, label="worst of a tenth of a second"
    )
    axes.plot(seconds, median, color="tab:blue", linewidth=0.8, label="median of it")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("seconds")
    axes.set_title(f"Milliseconds of commits beside a snapshot, {row['rows']:,} rows")
    _legend(axes, 3)
    return True


_PLOTS: dict[str, Callable[[Any, Results], bool]] = {
    "commit-rate": _commit_rate,
    "commit-latency": _commit_latency,
    "takeover": _takeover,
    "cold-start": _cold_start,
    "framework-takeover": _framework_takeover,
    "upkeep": _upkeep,
}


def _rows(results: Results, benchmark: str) -> list[Row]:
    rows: list[Row] = results.get(benchmark, {}).get("rows", [])
    return [row for row in rows if "left_out" not in row]


def _systems(results: Results) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in _rows(results, "rivals"):
        found.setdefault((row["system"], row["client"]), []).append(row)
    return found


def _line(
    axes: Any, rows: list[Row], column: str, style: str, colour: str, label: str | None = None
) -> None:
    writers, values = [row["writers"] for row in rows], [row[column] for row in rows]
    axes.plot(writers, values, style, marker="o", markersize=4, color=colour, label=label)


def _by_writers(axes: Any) -> bool:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_xticks(_WRITERS, [str(number) for number in _WRITERS])
    axes.set_xlabel("writers at the same time")
    _legend(axes, 2)
    return True


def _legend(axes: Any, columns: int) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=columns, fontsize=9)
