"""A call that is given up stops its queued and its running work on a real Triton."""

import asyncio
import time

import pytest

from budgetmem.config import load_profile
from budgetmem.pipeline import ExtractRequest
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Turn
from server.assembly import build_engine
from server.serving import loaded

pytestmark = [pytest.mark.services, pytest.mark.asyncio(loop_scope="session")]

MODULES = ("filter", "entity", "temporal", "topic", "summary")
TURNS = [Turn(f"t{n}", "Ana", f"On day {n} I went to the market and met Bo.") for n in range(30)]

SOON_S = 2.0
"""Ten times what is promised, on a machine that may be busy."""


def work(scheduler) -> tuple[int, int]:
    """Items that wait, and items in flight, over all queues."""
    of_queues = scheduler.stats().queues.values()
    return sum(each["waiting"] for each in of_queues), sum(each["in_flight"] for each in of_queues)


async def becomes(condition, seconds):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        await asyncio.sleep(0.005)
    return time.monotonic() - begin


async def test_cancelled_requests_leave_the_queues_and_return_their_credits(tiny_triton, tmp_path):
    profile = load_profile("tiny")
    async with loaded(profile, tiny_triton) as (models, _):
        scheduler = models.scheduler
        engine = build_engine(profile, models, tmp_path, scheduler=scheduler)
        await engine.histories.ingest("acme", "trip", TURNS)
        budget = Budget(dict.fromkeys(MODULES, Tier.HIGH))
        request = ExtractRequest("acme", "trip", "Who did Ana meet?", "capacity", budget)
        calls = [asyncio.ensure_future(engine.pipeline.extract(request)) for _ in range(40)]
        await becomes(lambda: min(work(scheduler)) > 0, 60)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await becomes(lambda: work(scheduler) == (0, 0), SOON_S)
        # The engine has room again: a whole request is answered.
        memory = await asyncio.wait_for(engine.pipeline.extract(request), 120)
        assert memory.text
