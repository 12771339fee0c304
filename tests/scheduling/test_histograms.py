import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import InvalidInput
from budgetmem.scheduling.histograms import BUCKETS, bucket_of, quantile, upper_bound
from budgetmem.scheduling.interface import NEVER

TIMES = st.integers(0, NEVER) | st.integers(0, 62).map(lambda power: 2**power)


def counted(*times: int) -> list[int]:
    buckets = [0] * BUCKETS
    for time in times:
        buckets[bucket_of(time)] += 1
    return buckets


def test_short_times_have_a_bucket_each():
    assert [bucket_of(ns) for ns in range(-2, 16)] == [0, 0, *range(16)]
    assert [upper_bound(bucket) for bucket in range(16)] == list(range(16))


def test_buckets_above_are_an_eighth_of_a_power_of_two():
    assert [bucket_of(ns) for ns in (16, 17, 18, 31, 32, 35, 36)] == [16, 16, 17, 23, 24, 24, 25]
    assert upper_bound(16) == 17
    assert bucket_of(NEVER) == BUCKETS - 1
    assert upper_bound(BUCKETS - 1) == NEVER


@given(TIMES)
def test_a_time_lies_in_its_bucket_and_the_bucket_is_narrow(ns):
    bucket = bucket_of(ns)
    assert ns <= upper_bound(bucket) <= ns * 1.125
    assert bucket == 0 or upper_bound(bucket - 1) < ns


@pytest.mark.parametrize(("q", "expected"), [(0, 1), (0.5, 2), (0.51, 3), (0.75, 3), (1, 103)])
def test_a_quantile_is_the_upper_bound_of_its_bucket(q, expected):
    assert quantile(counted(1, 2, 3, 100), q) == expected
    assert quantile(np.array(counted(1, 2, 3, 100), dtype=np.uint64), q) == expected


def test_the_quantile_of_nothing_is_0():
    assert quantile([0] * BUCKETS, 0.99) == 0


@given(st.lists(TIMES, min_size=1), st.floats(0, 1))
def test_at_least_the_share_lies_at_or_below_the_quantile(times, q):
    bound = quantile(counted(*times), q)
    assert sum(ns <= bound for ns in times) >= q * len(times)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: upper_bound(BUCKETS), "bucket"),
        (lambda: upper_bound(-1), "bucket"),
        (lambda: quantile([0], 0.5), "buckets"),
        (lambda: quantile([0] * BUCKETS, 1.5), "q"),
        (lambda: quantile([0] * BUCKETS, float("nan")), "q"),
    ],
)
def test_what_there_is_not_is_refused(call, field):
    with pytest.raises(InvalidInput) as error:
        call()
    assert error.value.field == field
