"""Threads that repeat something, measured."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

Taken = tuple[list[float], float]  # seconds of each operation, and of all of them


def repeat(actions: Sequence[Callable[[], object]], seconds: float) -> Taken:
    """Each action again and again in a thread of its own, all at the same time.

    Every one runs once before that and is not measured: it prepares its statements.
    """
    barrier = threading.Barrier(len(actions) + 1)
    taken: list[list[float]] = [[] for _ in actions]
    failures: list[BaseException] = []

    def run(number: int) -> None:
        action, durations = actions[number], taken[number]
        try:
            action()
            barrier.wait()
            end = time.perf_counter() + seconds
            while (begin := time.perf_counter()) < end:
                action()
                durations.append(time.perf_counter() - begin)
        except BaseException as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    if failures:
        raise failures[0]
    return [duration for each in taken for duration in each], elapsed


def together(parts: Sequence[Taken]) -> Taken:
    """What several rounds took."""
    return [each for durations, _ in parts for each in durations], sum(part[1] for part in parts)


def rate(taken: Taken) -> float:
    """Operations a second."""
    return len(taken[0]) / taken[1]
