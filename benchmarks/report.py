"""What a run found, as tables for a terminal and for a page."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
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


def machine_line(facts: dict[str, Any]) -> str:
    """The same for people."""
    return (
        "{cores} cores, {cpu}, Linux {kernel}, Python {python}, {date},"
        " load {load_1_min} at the beginning"
    ).format(**facts)


def print_table(console: Console, title: str, rows: list[Row]) -> None:
    """The rows of one benchmark."""
    table = Table(title=title, title_justify="left")
    for column, numeric in _columns(rows):
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for cells in _cells(rows):
        table.add_row(*cells)
    console.print(table)
    for row in _left_out(rows):
        console.print(f"left out: {row['system']}: {row['left_out']}", soft_wrap=True)


def markdown_table(rows: list[Row]) -> str:
    """The same for a page."""
    lines = []
    if columns := _columns(rows):
        lines += [
            "| " + " | ".join(column.replace("_", " ") for column, _ in columns) + " |",
            "|" + "|".join("---:" if numeric else "---" for _, numeric in columns) + "|",
            *("| " + " | ".join(cells) + " |" for cells in _cells(rows)),
        ]
    lines += [f"\nLeft out: {row['system']} ({row['left_out']})." for row in _left_out(rows)]
    return "\n".join(lines)


def _left_out(rows: list[Row]) -> list[Row]:
    return [row for row in rows if "left_out" in row]


def _columns(rows: list[Row]) -> list[tuple[str, bool]]:
    """Their names, and whether they hold numbers."""
    shown = [row for row in rows if "left_out" not in row]
    # What begins with an underscore is for plots.
    names = dict.fromkeys(column for row in shown for column in row if column[0] != "_")
    return [
        (name, any(isinstance(row.get(name), int | float | list) for row in shown))
        for name in names
    ]


def _cells(rows: list[Row]) -> Iterator[list[str]]:
    columns = _columns(rows)
    for row in rows:
        if "left_out" not in row:
            yield [_cell(row.get(name)) for name, _ in columns]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        low, median, high = value
        return f"{median:,}" if low == high else f"{median:,} ({low:,} to {high:,})"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
