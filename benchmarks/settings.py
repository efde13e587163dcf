"""What a run measures, and what a benchmark gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Column -> text, number or spread; the columns of a table are its rows' keys.
Row = dict[str, Any]
# Of the rounds of a case: lower quartile, median, upper quartile.
Spread = list[float]


@dataclass(frozen=True)
class Settings:
    """Sizes of a run.

    Attributes:
        directory: where logs are made; on the disk that is to be measured.
        quick: short cases and small databases, to see that everything runs.
        large: also 1,000,000 rows and a database of 1 GB.
    """

    directory: Path
    quick: bool = False
    large: bool = False

    @property
    def case_s(self) -> float:
        """How long a case repeats what it measures."""
        return 0.3 if self.quick else 5.0

    @property
    def rounds(self) -> int:
        """How often the parts of a case take turns, so that a busy machine slows all of them."""
        return 1 if self.quick else 5

    @property
    def round_s(self) -> float:
        """How long a part of a case has in each round."""
        return self.case_s / self.rounds


def spread(values: Sequence[float], digits: int = 2) -> Spread:
    """What the rounds of a case came to."""
    return [round(percentile(values, fraction), digits or None) for fraction in (0.25, 0.5, 0.75)]


def middle(cell: float | Spread) -> float:
    """A cell's number; of a spread the median."""
    return cell[1] if isinstance(cell, list) else cell


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value that `fraction` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def latency(values_s: list[float], elapsed_s: float) -> Row:
    """The columns for operations that took `values_s` seconds each."""
    return {
        "count": len(values_s),
        "per_s": round(len(values_s) / elapsed_s, 1),
        "p50_ms": round(percentile(values_s, 0.50) * 1e3, 3),
        "p99_ms": round(percentile(values_s, 0.99) * 1e3, 3),
    }
