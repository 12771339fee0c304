"""Benches on both cores."""

import pytest


@pytest.fixture(params=["cpp", "reference"])
async def make_bench(request):
    """Makes benches of a plan (tests.scheduling.harness), and closes them."""
    from tests.scheduling.harness import bench  # other tests here do without the C++ core

    made = []

    def make(plan):
        made.append(bench(request.param, plan))
        return made[-1]

    yield make
    for one in made:
        await one.tiers.close()
