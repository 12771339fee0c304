"""Kills Triton, or the process of one of its models, under load."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.chaos.footprint import started_by
from benchmarks.chaos.requests import HISTORY, TURNS, Outcomes, asks, seconds_until_whole
from benchmarks.load.target import Served
from budgetmem.client.aio import AsyncClient
from budgetmem.tiers import Tier

CALLERS = 8
PROMISED_S = 30.0
"""Until service is back, on a machine that has nothing else to do."""

RECOVERY_LIMIT_S = 300.0
"""So long it is waited for, to tell how long it took where it took too long."""

REQUEST_TIMEOUT_S = 120.0

VICTIMS = {"Triton": "tritonserver", "a model's process": "triton_python_backend_stub"}


@dataclass(frozen=True)
class Kill:
    """What was killed, what became of the requests that were under way, and how long it was until
    all models answered again (None: not within the limit)."""

    victim: str
    recovery_s: float | None
    requests: dict[str, int]

    @property
    def kept(self) -> bool:
        """Whether every request was answered or may be sent again, and service was back in time."""
        lost = self.requests["failed"] + self.requests["late"]
        back = self.recovery_s is not None and self.recovery_s <= PROMISED_S
        return back and not lost and not self.requests["refused_without_hint"]

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return {"victim": self.victim, "recovery_s": self.recovery_s, **self.requests}


async def run(served: Served, rounds: int) -> Sequence[Kill]:
    """Kills each victim so many times, one after the other."""
    kills = []
    async with AsyncClient(served.address, timeout_s=REQUEST_TIMEOUT_S) as client:
        await client.ingest(HISTORY, TURNS)
        for _ in range(rounds):
            for victim, program in VICTIMS.items():
                kills.append(await _kill(served, client, victim, program))
    return kills


async def _kill(served: Served, client: AsyncClient, victim: str, program: str) -> Kill:
    outcomes, ask = Outcomes(), asks(client, Tier.HIGH)
    under_way = [asyncio.ensure_future(outcomes.of(ask)) for _ in range(CALLERS)]
    await asyncio.sleep(0.5)
    # The newest one: Triton starts helpers that end by themselves while models load.
    started_by(served.pid, program)[-1].kill()
    recovery = await seconds_until_whole(ask, RECOVERY_LIMIT_S)
    await asyncio.gather(*under_way)
    return Kill(victim, recovery, outcomes.report())
