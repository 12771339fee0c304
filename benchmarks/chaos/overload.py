"""Offers a server ten times what it can answer, and looks at its memory and its recovery."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.chaos.footprint import footprint
from benchmarks.chaos.requests import HISTORY, TURNS, Ask, Outcomes, asks
from budgetmem.client.aio import AsyncClient
from server.child import Served

FACTOR = 10
CALLERS = 8
CALIBRATE_S = 15.0
FLOOD_S = 30.0
PATIENCE_S = 20.0
"""The deadline of a request of the flood."""

CEILING = 1.5
"""How much memory the server may have during the flood, as a multiple of that before it."""

GOODPUT = 0.5
"""The least share of the sustained rate that is answered during the flood."""

RECOVERY_LIMIT_S = 60.0


@dataclass(frozen=True)
class Overload:
    """Requests a second that were sustained and offered; the server's resident bytes before the
    flood and their most during it; the latency of a lone request before and after; how long after
    the flood it was until that was no more than twice as long (None: not within the limit).

    Requests that wait until their deadline are late; those who send ten times too much cannot all
    be answered.
    """

    sustained: float
    offered: float
    before_bytes: int
    most_bytes: int
    before_s: float
    after_s: float
    recovery_s: float | None
    requests: dict[str, int]

    @property
    def kept(self) -> bool:
        """Whether memory stayed below the ceiling, the server recovered and went on answering, and
        nothing failed otherwise than promised."""
        bounded = self.most_bytes <= CEILING * self.before_bytes
        useful = self.requests["answered"] >= GOODPUT * self.sustained * FLOOD_S
        wrong = self.requests["failed"] + self.requests["refused_without_hint"]
        return bounded and useful and self.recovery_s is not None and not wrong

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
        after_s, recovery_s = await recovered(ask, 2 * before_s + 0.1, RECOVERY_LIMIT_S)
        return Overload(
            sustained=sustained,
            offered=FACTOR * sustained,
            before_bytes=before,
            most_bytes=most,
            before_s=before_s,
            after_s=after_s,
            recovery_s=recovery_s,
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


async def recovered(ask: Ask, soon_s: float, limit_s: float) -> tuple[float, float | None]:
    """The latency of the last request; how long it was until one took no longer than `soon_s`, None
    if that was not within `limit_s`."""
    begin = time.monotonic()
    while (last := await _seconds(ask)) > soon_s:
        if time.monotonic() - begin > limit_s:
            return last, None
    return last, time.monotonic() - begin


async def _seconds(ask: Ask) -> float:
    begin = time.monotonic()
    await ask()
    return time.monotonic() - begin
