"""The counted latencies of a store's status."""

from __future__ import annotations

from aurora_store.status import Latency

BUCKETS = len(Latency.BOUNDS_S) + 1


def latency(counts: dict[int, int], total_s: float = 0.0) -> Latency:
    return Latency(tuple(counts.get(bucket, 0) for bucket in range(BUCKETS)), total_s)


def test_the_bounds_ascend_from_a_tenth_of_a_millisecond_to_ten_seconds() -> None:
    assert list(Latency.BOUNDS_S) == sorted(Latency.BOUNDS_S)
    assert Latency.BOUNDS_S[0] == 0.0001
    assert Latency.BOUNDS_S[-1] == 10.0


def test_a_percentile_is_the_bound_that_the_share_did_not_exceed() -> None:
    taken = latency({0: 50, 3: 49, BUCKETS - 1: 1})
    assert taken.percentile(0.5) == Latency.BOUNDS_S[0]
    assert taken.percentile(0.51) == Latency.BOUNDS_S[3]
    assert taken.percentile(0.99) == Latency.BOUNDS_S[3]
    assert taken.percentile(1.0) == float("inf")


def test_nothing_taken_has_no_percentile() -> None:
    assert latency({}).percentile(0.5) is None


def test_the_difference_of_two_looks_is_what_came_between() -> None:
    later = latency({0: 5, 2: 7}, 3.0).since(latency({0: 4, 2: 2}, 1.0))
    assert later == latency({0: 1, 2: 5}, 2.0)
    assert later.count == 6
