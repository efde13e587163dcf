"""Runs the benchmarks and tells what they found."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import (
    aurora_footprint,
    aurora_storage,
    cold_start,
    commits,
    framework_takeover,
    log_bytes,
    memory_log,
    plots,
    point_reads,
    raw_append,
    report,
    rivals,
    status_updates,
    streaming,
    takeover,
    targets,
    upkeep,
)
from benchmarks.settings import Row, Settings

BENCHMARKS: dict[str, tuple[str, Callable[[Settings], list[Row]]]] = {
    "raw-append": ("Appends to the log alone, 300 bytes", raw_append.run),
    "commits": ("Commits through a store, beside raw appends", commits.run),
    "rivals": ("Durable writes of three nodes, beside other systems", rivals.run),
    "log-bytes": ("Bytes in the log per transaction", log_bytes.run),
    "takeover": ("Takeover by a warm standby, the median round", takeover.run),
    "cold-start": ("Opening one replica from its log", cold_start.run),
    "upkeep": ("Keeping a database: snapshot, truncation, backup, restore", upkeep.run),
    "streaming": ("Reading a log", streaming.run),
    "point-reads": ("Reads by primary key", point_reads.run),
    "status-updates": ("Status updates of Mesos, recorded and acknowledged", status_updates.run),
    "framework-takeover": (
        "Takeovers of a Mesos framework, from kill -9 to active",
        framework_takeover.measure,
    ),
    "aurora-storage": (
        "The model, beside maps of objects as Aurora had them",
        aurora_storage.run,
    ),
    "aurora-footprint": ("What a task of the model takes", aurora_footprint.run),
    "memory-log": ("Commits into the test double of the log", memory_log.run),
}


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Short cases and small databases.")
@click.option("--large", is_flag=True, help="Also 1,000,000 rows and a database of 1 GB.")
@click.option("--only", multiple=True, type=click.Choice(list(BENCHMARKS)), help="Repeatable.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write a document too.")
@click.option("--plots", "plots_path", type=click.Path(path_type=Path), help="Draw plots there.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Make the logs here, on the disk that is to be measured, instead of in a temporary one.",
)
def main(
    quick: bool,
    large: bool,
    only: tuple[str, ...],
    json_path: Path | None,
    plots_path: Path | None,
    directory: Path | None,
) -> None:
    console = Console(width=None if Console().is_terminal else 200)
    facts = report.machine()
    console.print(report.machine_line(facts), highlight=False, soft_wrap=True)
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    document: dict[str, Any] = {
        "machine": facts,
        "settings": {"quick": quick, "large": large, "directory_given": directory is not None},
        "benchmarks": results,
        "targets": [],
    }
    for name, (title, run) in BENCHMARKS.items():
        if only and name not in only:
            continue
        scratch = Path(tempfile.mkdtemp(prefix="aurora-bench-", dir=directory))
        begin = time.perf_counter()
        try:
            with console.status(title):
                rows = run(Settings(scratch, quick=quick, large=large))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        seconds = round(time.perf_counter() - begin, 1)
        results[name] = {"title": title, "seconds": seconds, "rows": rows}
        report.print_table(console, f"{name}: {title} ({seconds} s)", rows)
        document["targets"] = targets.compute(results)
        if json_path is not None:  # after each one: a run that is ended keeps what it has
            json_path.write_text(json.dumps(document, indent=2) + "\n")
    report.print_table(console, "Targets", document["targets"])
    if plots_path is not None:
        drawn = plots.draw(results, plots_path)
        said = ", ".join(map(str, drawn)) or "none; they take matplotlib and rows to draw"
        console.print(f"plots: {said}", soft_wrap=True)


if __name__ == "__main__":
    main()
