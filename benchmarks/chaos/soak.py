"""A mixed load for many minutes, and whether anything grows that should not."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from string import ascii_lowercase
from typing import Any

from benchmarks.chaos.footprint import Footprint, footprint
from benchmarks.chaos.requests import HISTORY, QUESTION, TURNS, Ask, Outcomes
from budgetmem.client.aio import AsyncClient
from budgetmem.tiers import Tier
from budgetmem.types import Turn
from server.child import Served

CALLERS = 4
WARM_UP = 0.2
"""The share of the time after which the first footprint is taken."""

EVERY_S = 5.0
GROWTH = 0.05

DESCRIPTORS = 8
"""Files that are open for a moment: SQLite's of a history or two. A leak has hundreds soon."""


@dataclass(frozen=True)
class Soak:
    """The footprint after warming up and at the end, each figure the median over a tenth of the
    samples."""

    minutes: float
    warm: Footprint
    end: Footprint
    requests: dict[str, int]

    @property
    def growth(self) -> float:
        """Of resident memory, as a share: the server's or its Triton's, whichever grew more. One
        that leaks must not hide behind the size of the other."""
        server = self.end.server_bytes / self.warm.server_bytes
        triton = self.end.triton_bytes / self.warm.triton_bytes
        return max(server, triton) - 1

    @property
    def kept(self) -> bool:
        """Whether memory is within 5% of that after warming up, with no more files held, and every
        request ended as is promised."""
        held = (
            self.end.descriptors <= self.warm.descriptors + DESCRIPTORS
            and self.end.shared_files <= self.warm.shared_files
            and self.end.shared_bytes <= self.warm.shared_bytes
        )
        wrong = self.requests["failed"] + self.requests["late"]
        return self.growth <= GROWTH and held and not wrong

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "growth": self.growth}


async def run(served: Served, minutes: float, seed: int = 0) -> Soak:
    """Callers, each a tenant, that ingest, ask, stream, export and delete, and now and then give a
    request up."""
    end = time.monotonic() + 60 * minutes
    outcomes = Outcomes()
    async with AsyncExitStack() as stack:
        callers = []
        for name in range(CALLERS):
            client = AsyncClient(served.address, tenant=f"soak{name}", timeout_s=120.0)
            await stack.enter_async_context(client)
            draw = random.Random(seed + name)
            callers.append(asyncio.ensure_future(_caller(client, end, draw, outcomes)))
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


async def _caller(client: AsyncClient, end: float, draw: random.Random, outcomes: Outcomes) -> None:
    ways: list[Callable[..., Awaitable[object]]] = [
        client.extract,
        client.answer,
        partial(_whole, client.extract_stream),
    ]
    while time.monotonic() < end:
        turns = _turns(draw)
        await outcomes.of(partial(client.ingest, HISTORY, turns))
        for _ in range(draw.randint(1, 6)):
            ask = partial(
                draw.choice(ways),
                HISTORY,
                QUESTION,
                strategy=draw.choice(["implementation", "capacity"]),
                tier=draw.choice(list(Tier)),
            )
            await outcomes.of(partial(_or_given_up, ask, draw))
        await outcomes.of(partial(_whole, client.export, HISTORY))
        some = [turn.id for turn in draw.sample(turns, 5)]
        await outcomes.of(partial(client.delete_turns, HISTORY, some))
        everything: list[Ask] = [partial(client.delete, HISTORY), client.delete_tenant]
        await outcomes.of(draw.choice(everything))


def _turns(draw: random.Random) -> list[Turn]:
    """With words that nobody said before: what keeps them, or what was made of them, grows. They
    fill the engine's cache of prompts while it warms up, which takes memory as it is used."""
    return [replace(turn, text=f"{turn.text} {_word(draw)} {_word(draw)}") for turn in TURNS]


def _word(draw: random.Random) -> str:
    return "".join(draw.choices(ascii_lowercase, k=8))


async def _whole(stream: Callable[..., AsyncIterator[object]], *given: str, **options: Any) -> None:  # noqa: ANN401 - of a query
    async for _ in stream(*given, **options):
        pass


async def _or_given_up(ask: Ask, draw: random.Random) -> None:
    """Awaits a request; one in ten is cancelled soon after it began."""
    running = asyncio.ensure_future(ask())
    if draw.random() < 0.1:
        await asyncio.wait([running], timeout=draw.uniform(0.0, 0.5))
        running.cancel()
        await asyncio.wait([running])
        if running.cancelled():
            return
    await running


def _median(samples: Sequence[Footprint]) -> Footprint:
    figures = zip(*map(astuple, samples), strict=True)
    return Footprint(*(sorted(each)[len(each) // 2] for each in figures))
