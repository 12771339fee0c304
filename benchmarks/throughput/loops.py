"""The two ways of sending queries: so many at a time, or at times drawn beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.load.arrivals import Arrival
from benchmarks.load.generator import Ask
from benchmarks.load.measures import Sample


async def closed(
    count: int, concurrency: int, ask: Ask, now: Callable[[], float], tenant: str
) -> list[Sample]:
    """Asks the questions 0 to `count` - 1 in order, `concurrency` at a time."""
    begin = now()
    numbers = iter(range(count))
    samples: list[Sample] = []

    async def work() -> None:
        for number in numbers:
            sent = now() - begin
            status = await ask(tenant, number)
            samples.append(Sample(tenant, sent, sent, now() - begin, status))

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return samples


def arrivals(count: int, rate: float, seed: Sequence[int], tenant: str) -> list[Arrival]:
    """A Poisson process of `rate` queries/s, cut after `count`: queries in order."""
    gaps = np.random.default_rng(list(seed)).exponential(1 / rate, count)
    return [Arrival(float(at), tenant, number) for number, at in enumerate(gaps.cumsum())]
