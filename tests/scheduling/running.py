"""Schedulers of a profile's plan, in C++ and in Python, for the tests of what is built on them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from budgetmem import _core
from budgetmem.config import Profile
from budgetmem.scheduling.interface import Plan, Scheduler
from budgetmem.scheduling.plans import plan_of
from budgetmem.scheduling.reference_scheduler import ReferenceScheduler
from budgetmem.scheduling.tier_scheduler import TierScheduler

SCHEDULERS: dict[str, Callable[[Plan], Scheduler]] = {
    "cpp": _core.Scheduler,
    "reference": ReferenceScheduler,
}


@asynccontextmanager
async def running(profile: Profile, kind: str) -> AsyncIterator[TierScheduler]:
    """A scheduler for a profile's models; `kind` is a key of SCHEDULERS."""
    plan, queues = plan_of(profile)
    async with TierScheduler(SCHEDULERS[kind](plan), queues) as scheduler:
        yield scheduler


async def until(condition: Callable[[], object]) -> None:
    """Returns when the condition holds; fails if it does not within seconds."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(poll(), 5)
