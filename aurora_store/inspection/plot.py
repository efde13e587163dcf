"""Rates over time, drawn as text or as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from aurora_store.errors import StoreError

_BARS = " ▁▂▃▄▅▆▇█"

Series = Sequence[tuple[datetime, float, float]]
"""Begin of each bucket, bytes per second, transactions per second."""


def bars(values: Sequence[float]) -> str:
    """One character for each value, as high as its share of the largest one; a value above zero
    is never blank."""
    most = max(values, default=0.0)
    if not most:
        return _BARS[0] * len(values)
    steps = len(_BARS) - 1
    return "".join(_BARS[max(round(value / most * steps), value > 0)] for value in values)


def draw(series: Series, path: Path) -> None:
    """Draws the rates into a file: PNG, SVG or PDF, by its suffix.

    Raises:
        StoreError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise StoreError(
            "a plot needs matplotlib, which is not installed",
            hint='pip install "aurora-store[plot]"',
        ) from exc
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    times = [time for time, _, _ in series]
    upper.step(times, [size for _, size, _ in series], where="post")
    upper.set_ylabel("bytes/s")
    lower.step(times, [count for _, _, count in series], where="post")
    lower.set_ylabel("transactions/s")
    lower.set_xlabel("leader's clock, UTC")
    for axes in (upper, lower):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.autofmt_xdate()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise StoreError(f"the plot cannot be written to {path}: {reason}") from exc
