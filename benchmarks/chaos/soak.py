"""A mixed load for many minutes, and whether anything grows that should not."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from benchmarks.chaos.footprint import Footprint, footprint
from benchmarks.chaos.requests import QUESTION, TURNS, Ask, Outcomes
from benchmarks.load.target import Served
from budgetmem.client.aio import AsyncClient
from budgetmem.tiers import Tier

CALLERS = 4
WARM_UP = 0.2
"""The share of the time after which the first footprint is taken."""

EVERY_S = 5.0
GROWTH = 0.05


@dataclass(frozen=True)
class Soak:
    """The footprint after warming up and at the end, both medians over a tenth of the samples."""

    minutes: float
    warm: Footprint
    end: Footprint
    requests: dict[str, int]

    @property
    def growth(self) -> float:
        """Of the resident memory of server and Triton together, as a share."""
        before, after = (each.server_bytes + each.triton_bytes for each in (self.warm, self.end))
        return after / before - 1

    @property
    def kept(self) -> bool:
        """Whether memory is within 5% of that after warming up, with no more files held."""
        files = self.end.shared_files <= self.warm.shared_files
        return self.growth <= GROWTH and files and not self.requests["failed"]

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "growth": self.growth}


async def run(served: Served, minutes: float, seed: int = 0) -> Soak:
    """Callers that ingest, ask, stream, delete, and now and then give a request up."""
    end = time.monotonic() + 60 * minutes
    outcomes = Outcomes()
    async with AsyncClient(served.address, timeout_s=120.0) as client:
        callers = [
            asyncio.ensure_future(_caller(client, name, end, random.Random(seed + name), outcomes))
            for name in range(CALLERS)
        ]
        samples = []
        while time.monotonic() < end:
            await asyncio.sleep(EVERY_S)
            samples.append(footprint(served.pid))
        await asyncio.gather(*callers)
    first = int(WARM_UP * len(samples))
    tenth = max(1, len(samples) // 10)
    return Soak(
        minutes=minutes,
        warm=_median(samples[first : first + tenth]),
        end=_median(samples[-tenth:]),
        requests=outcomes.report(),
    )


async def _caller(
    client: AsyncClient, name: int, end: float, draw: random.Random, outcomes: Outcomes
) -> None:
    history = f"soak{name}"
    while time.monotonic() < end:
        await outcomes.of(lambda: client.ingest(history, TURNS))
        for _ in range(draw.randint(1, 6)):
            ask = partial(
                draw.choice([client.extract, client.answer]),
                history,
                QUESTION,
                strategy=draw.choice(["implementation", "capacity"]),
                tier=draw.choice(list(Tier)),
            )
            await outcomes.of(partial(_or_given_up, ask, draw))
        await outcomes.of(lambda: client.delete(history))


async def _or_given_up(ask: Ask, draw: random.Random) -> None:
    """Awaits a request; one in ten is cancelled soon after it began."""
    running = asyncio.ensure_future(ask())
    if draw.random() < 0.1:
        await asyncio.wait([running], timeout=draw.uniform(0.0, 0.5))
        running.cancel()
        await asyncio.wait([running])
        return
    await running


def _median(samples: Sequence[Footprint]) -> Footprint:
    return sorted(samples, key=lambda each: each.server_bytes + each.triton_bytes)[
        len(samples) // 2
    ]
