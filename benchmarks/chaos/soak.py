"""A mixed load for many minutes, and whether anything grows that should not."""

from __future__ import annotations

import asyncio
import random
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
EVERY_S = 5.0
GROWTH = 0.05

STILL, STILL_SAMPLES, MOST_WARMING = 0.01, 24, 180
"""It is warm when its Triton grows by no more than this share over so many samples, two minutes; at
the latest after so many, a quarter of an hour. The engine's cache of prompts takes memory as it is
used, up to its size."""

DESCRIPTORS = 8
"""Files that are open for a moment: SQLite's of a history or two. A leak has hundreds soon."""


@dataclass(frozen=True)
class Soak:
    """The footprint after warming up and at the end, each figure the median over a tenth of the
    samples. The minutes are those after the seconds of warming up."""

    warming_s: float
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
    over, outcomes = asyncio.Event(), Outcomes()
    async with AsyncExitStack() as stack:
        callers = []
        for name in range(CALLERS):
            client = AsyncClient(served.address, tenant=f"soak{name}", timeout_s=120.0)
            await stack.enter_async_context(client)
            draw = random.Random(seed + name)
            callers.append(asyncio.ensure_future(_caller(client, over, draw, outcomes)))
        warming: list[Footprint] = []
        while not _is_warm(warming):
            warming.append(await _sample(served))
        count = max(1, round(60 * minutes / EVERY_S))
        samples = [await _sample(served) for _ in range(count)]
        over.set()
        await asyncio.gather(*callers)
    tenth = max(1, count // 10)
    return Soak(
        warming_s=EVERY_S * len(warming),
        minutes=minutes,
        warm=_median(samples[:tenth]),
        end=_median(samples[-tenth:]),
        requests=outcomes.report(),
    )


async def _sample(served: Served) -> Footprint:
    await asyncio.sleep(EVERY_S)
    return footprint(served.pid)


def _is_warm(samples: Sequence[Footprint]) -> bool:
    if len(samples) <= STILL_SAMPLES:
        return False
    before, now = samples[-1 - STILL_SAMPLES].triton_bytes, samples[-1].triton_bytes
    return now <= before * (1 + STILL) or len(samples) >= MOST_WARMING


async def _caller(
    client: AsyncClient, over: asyncio.Event, draw: random.Random, outcomes: Outcomes
) -> None:
    ways: list[Callable[..., Awaitable[object]]] = [
        client.extract,
        client.answer,
        partial(_whole, client.extract_stream),
    ]
    while not over.is_set():
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
