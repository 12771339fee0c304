from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.scheduling.sizes import BUCKETS, GroupSizes, Sizes


@given(st.lists(st.integers(1, 5000)))
def test_every_batch_is_in_the_first_bucket_that_holds_it(sizes):
    counted = Sizes()
    for size in sizes:
        counted.record(size)
    assert (sum(counted.buckets), counted.items) == (len(sizes), sum(sizes))
    for bucket in range(BUCKETS - 1):
        assert sum(counted.buckets[: bucket + 1]) == sum(size <= 2**bucket for size in sizes)


@pytest.mark.parametrize(("size", "bucket"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10)])
def test_the_edges_are_powers_of_two(size, bucket):
    counted = Sizes()
    counted.record(size)
    assert counted.buckets[bucket] == 1


def test_a_group_has_the_calls_that_went_while_it_was_there():
    groups = GroupSizes()
    for key in (7, 7, 7, 0):
        groups.enter(key)
    groups.leave("high", 7, went=True)
    groups.leave("high", 0, went=True)
    groups.leave("high", 7, went=False)
    assert groups.by_model == {}
    groups.leave("high", 7, went=True)
    groups.enter(7)
    groups.leave("high", 7, went=True)
    groups.enter(8)
    groups.leave("low", 8, went=False)
    assert groups.by_model.keys() == {"high"}
    assert (sum(groups.by_model["high"].buckets), groups.by_model["high"].items) == (2, 3)
