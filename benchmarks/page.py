"""Puts the tables and plots of a run into the page about benchmarks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from benchmarks import plots, report

_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
# What stands between these is replaced.
_PLACE = re.compile(r"(<!-- (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


@click.command(help=__doc__)
@click.argument("results", type=click.Path(path_type=Path, exists=True))
@click.option("--page", type=click.Path(path_type=Path, exists=True), default=_PAGE)
def main(results: Path, page: Path) -> None:
    document = json.loads(results.read_text())
    page.write_text(filled(page.read_text(), document))
    drawn = plots.draw(document["benchmarks"], page.parent / "benchmarks")
    if not drawn:
        click.echo(
            "no plots drawn: matplotlib is missing, or the run has no rows for them", err=True
        )


def filled(text: str, document: dict[str, Any]) -> str:
    """The page with the tables of this run; what the run left out says so."""
    parts = {
        "machine": report.machine_line(document["machine"]) + ".",
        "targets": report.markdown_table(document["targets"]),
    }
    for name, found in document["benchmarks"].items():
        parts[name] = report.markdown_table(found["rows"])
    return fill_places(text, parts)


def fill_places(text: str, parts: dict[str, str]) -> str:
    """What stands in the places of a page replaced; a place without a part says so."""
    return _PLACE.sub(
        lambda place: f"{place[1]}{parts.get(place['name'], 'Not part of this run.')}\n{place[3]}",
        text,
    )


if __name__ == "__main__":
    main()
