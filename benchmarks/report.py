"""What a run found: the document, its tables, and plots where matplotlib is installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.settings import Row


def machine() -> dict[str, Any]:
    """What the numbers of a run depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "load_1_min": round(os.getloadavg()[0], 2),
    }


def print_machine(console: Console, facts: dict[str, Any]) -> None:
    """One line."""
    console.print(
        "{cores} cores, {cpu}, Linux {kernel}, Python {python}, {date}, load {load_1_min}".format(
            **facts
        ),
        highlight=False,
        soft_wrap=True,
    )


def print_table(console: Console, title: str, rows: list[Row]) -> None:
    """The rows of one benchmark."""
    table = Table(title=title, title_justify="left")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console.print(table)


def plot_commits(rows: list[Row], path: Path) -> bool:
    """Draws the rate by the number of writers; returns ``False`` without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return False
    matplotlib = importlib.import_module("matplotlib")  # optional, so not imported above
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")

    figure, axes = pyplot.subplots()
    for count in sorted({row["replicas"] for row in rows}):
        points = [r for r in rows if r["replicas"] == count and r["interface"] == "DB-API"]
        axes.plot(
            [point["writers"] for point in points],
            [point["per_s"] for point in points],
            marker="o",
            label=f"{count} replica{'s' if count > 1 else ''}",
        )
    axes.set_xscale("log", base=2)
    axes.set_xlabel("writers")
    axes.set_ylabel("commits per second")
    axes.legend()
    figure.savefig(path)
    pyplot.close(figure)
    return True


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
