"""Work side by side: results in order, and nothing that goes on after a failure."""

import asyncio

import pytest

from budgetmem.errors import BackboneUnavailable
from budgetmem.gather import gather_or_cancel


async def test_a_path_that_fails_takes_its_siblings_with_it():
    ended = []

    async def run(number):
        try:
            await asyncio.sleep(0 if number == 1 else 60)
        finally:
            ended.append(number)
        raise BackboneUnavailable("gone")

    with pytest.raises(BackboneUnavailable):
        await gather_or_cancel([run(number) for number in range(3)])
    assert sorted(ended) == [0, 1, 2]


async def test_results_come_in_the_order_of_the_runs():
    async def run(number):
        await asyncio.sleep(0.01 / number)
        return number

    assert await gather_or_cancel([run(number) for number in (1, 2, 3)]) == [1, 2, 3]
