"""Offers a server ten times what it can answer, and looks at its memory and its recovery."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.chaos.footprint import footprint
from benchmarks.chaos.requests import HISTORY, TURNS, Ask, Outcomes, asks
from benchmarks.load.target import Served
from budgetmem.client.aio import AsyncClient

FACTOR = 10
CALLERS = 8
CALIBRATE_S = 15.0
FLOOD_S = 30.0
PATIENCE_S = 20.0
"""The deadline of a request of the flood."""

CEILING = 1.5
"""How much memory the server may have during the flood, as a multiple of that before it."""


@dataclass(frozen=True)
class Overload:
    """Requests a second that were sustained and offered; the server's resident bytes before the
    flood and their most during it; the latency of a lone request before and after; how long after
    the flood it was until that was no more than twice as long."""

    sustained: float
    offered: float
    before_bytes: int
    most_bytes: int
    before_s: float
    after_s: float
    recovery_s: float
    requests: dict[str, int]

    @property
    def kept(self) -> bool:
        """Whether memory stayed below the ceiling and nothing failed otherwise than promised."""
        return self.most_bytes <= CEILING * self.before_bytes and not self.requests["failed"]

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


async def run(served: Served, seed: int = 0) -> Overload:
    """Calibrates, floods, recovers."""
    async with AsyncClient(served.address, timeout_s=120.0) as client:
        await client.ingest(HISTORY, TURNS)
        ask = asks(client)
        sustained = await _sustained(ask)
        before_s, before = await _seconds(ask), footprint(served.pid).server_bytes
        outcomes, most = await _flood(served, FACTOR * sustained, random.Random(seed))
        begin = time.monotonic()
        while (after_s := await _seconds(ask)) > 2 * before_s + 0.1:
            pass
        return Overload(
            sustained=sustained,
            offered=FACTOR * sustained,
            before_bytes=before,
            most_bytes=most,
            before_s=before_s,
            after_s=after_s,
            recovery_s=time.monotonic() - begin,
            requests=outcomes.report(),
        )


async def _sustained(ask: Ask) -> float:
    """Requests a second in a closed loop."""
    end, done = time.monotonic() + CALIBRATE_S, 0

    async def caller() -> None:
        nonlocal done
        while time.monotonic() < end:
            await ask()
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / CALIBRATE_S


async def _flood(served: Served, rate: float, draw: random.Random) -> tuple[Outcomes, int]:
    """Requests at exponentially distributed intervals; the most resident bytes meanwhile."""
    outcomes, most = Outcomes(), 0
    async with AsyncClient(served.address, timeout_s=PATIENCE_S) as client:
        ask = asks(client)
        running: list[asyncio.Future[None]] = []
        due = begin = time.monotonic()
        while due < begin + FLOOD_S:
            await asyncio.sleep(due - time.monotonic())
            running.append(asyncio.ensure_future(outcomes.of(ask)))
            most = max(most, footprint(served.pid).server_bytes)
            due += draw.expovariate(rate)
        await asyncio.gather(*running)
    return outcomes, max(most, footprint(served.pid).server_bytes)


async def _seconds(ask: Ask) -> float:
    begin = time.monotonic()
    await ask()
    return time.monotonic() - begin
