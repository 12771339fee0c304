from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.scheduling.batch_sizes import BUCKETS, BatchSizes


@given(st.lists(st.integers(1, 5000)))
def test_every_batch_is_in_the_first_bucket_that_holds_it(sizes):
    counted = BatchSizes()
    for size in sizes:
        counted.record(size)
    assert (sum(counted.buckets), counted.items) == (len(sizes), sum(sizes))
    for bucket in range(BUCKETS - 1):
        assert sum(counted.buckets[: bucket + 1]) == sum(size <= 2**bucket for size in sizes)


@pytest.mark.parametrize(("size", "bucket"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10)])
def test_the_edges_are_powers_of_two(size, bucket):
    counted = BatchSizes()
    counted.record(size)
    assert counted.buckets[bucket] == 1
