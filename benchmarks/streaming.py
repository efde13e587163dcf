"""Reading a log of more than 100 MB: the stream beside ``read(beginning, ending)``."""

from __future__ import annotations

import os
import time
from tempfile import mkdtemp

from aurora_store.log import Log
from benchmarks.memory import peak_mb
from benchmarks.processes import Process
from benchmarks.settings import Row, Settings, Spread, spread

_LIMIT_S = 600.0
_BYTES, _QUICK_BYTES = 240_000_000, 4_000_000
_SPARE = 10  # the last ones need not be readable on a replica that was just opened
_ENTRY_SIZES = (10_000, 100_000)


def run(settings: Settings) -> list[Row]:
    """For each size of the entries, the first half of a log and the whole of it, in both ways.

    Each reading is in a process of its own, and the two ways take turns. The log was just written,
    so it is in the system's cache.
    """
    total = _QUICK_BYTES if settings.quick else _BYTES
    rows: list[Row] = []
    for entry_bytes in _ENTRY_SIZES:
        directory = mkdtemp(dir=settings.directory)
        entries = total // entry_bytes
        with Process() as process:
            process.call(_fill, directory, entries, entry_bytes)
        for count in (entries // 2, entries):
            rows += [
                {"entry_bytes": entry_bytes, **row} for row in _measure(settings, directory, count)
            ]
    return rows


def _measure(settings: Settings, directory: str, entries: int) -> list[Row]:
    rounds: dict[str, list[Row]] = {"read": [], "stream": []}
    for _ in range(1 if settings.quick else 3):
        for way, taken in rounds.items():
            with Process() as process:
                taken.append(process.call(_read, directory, entries, way == "stream"))
    return [
        {
            "way": way,
            "entries": entries,
            **{column: spread([each[column] for each in taken], 4)[1] for column in taken[0]},
            "first_to_read": _ratio(taken, rounds["read"], "first_s"),
            "total_to_read": _ratio(taken, rounds["read"], "total_s"),
        }
        for way, taken in rounds.items()
    ]


def _ratio(ours: list[Row], theirs: list[Row], column: str) -> Spread:
    return spread([our[column] / their[column] for our, their in zip(ours, theirs, strict=True)], 4)


def _fill(directory: str, entries: int, entry_bytes: int) -> None:
    with Log.open(directory) as log:
        log.elect(timeout=_LIMIT_S)
        for _ in range(entries + _SPARE):
            log.append(os.urandom(entry_bytes))


def _read(directory: str, entries: int, streamed: bool) -> Row:
    """The first `entries`; each is looked at and dropped."""
    log = Log.open(directory)
    beginning = log.beginning(timeout=_LIMIT_S)
    last = beginning + entries - 1
    before, begin = peak_mb(), time.perf_counter()
    found = (
        log.stream(from_=beginning, to=last)
        if streamed
        else log.read(beginning, last, timeout=_LIMIT_S)
    )
    first, size = 0.0, 0
    for entry in found:
        first = first or time.perf_counter()
        size += len(entry.data)
    end = time.perf_counter()
    return {
        "read_mb": size / 1e6,
        "first_s": first - begin,
        "total_s": end - begin,
        "peak_added_mb": peak_mb() - before,
    }
