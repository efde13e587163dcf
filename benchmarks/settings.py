"""What a run measures, and what a benchmark gives back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]  # column -> text or number; the columns of a table are its rows' keys


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
        return 1.0 if self.quick else 5.0


def percentile(values: Iterable[float], fraction: float) -> float:
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
