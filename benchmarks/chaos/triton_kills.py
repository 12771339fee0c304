"""Kills Triton, or the process of one of its models, under load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from benchmarks.chaos.footprint import started_by
from benchmarks.chaos.requests import HISTORY, TURNS, Outcomes, answered_whole, asks
from budgetmem.client.aio import AsyncClient
from budgetmem.client.failures import error_of
from budgetmem.errors import ServerUnavailable
from budgetmem.tiers import Tier
from server.child import Served
from server.restarts import Restarts

CALLERS = 8
PROMISED_S = 30.0
"""Until service is back, on a machine that has nothing else to do."""

RECOVERY_LIMIT_S = 300.0
"""So long it is waited for, to tell how long it took where it took too long."""

REQUEST_TIMEOUT_S = 120.0
EVERY_S = 0.1

MOST_ROUNDS = Restarts().attempts - 1
"""On a fast machine all lives are short, and of so many in a row the next is the last."""

VICTIMS = {"Triton": "tritonserver", "a model's process": "triton_python_backend_stub"}


@dataclass(frozen=True)
class Kill:
    """What was killed, what became of the requests that were under way, and how many seconds it was
    until the server served again (None: not within the limit, or not with all its models)."""

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


async def run(served: Served, victim: str, rounds: int) -> Sequence[Kill]:
    """Kills the victim so many times, one after the other. Raises ServerUnavailable where the
    server itself has ended."""
    async with (
        AsyncClient(served.address, timeout_s=REQUEST_TIMEOUT_S) as client,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        await client.ingest(HISTORY, TURNS)
        health = HealthStub(channel)
        return [await _kill(served, client, health, victim) for _ in range(rounds)]


async def _kill(served: Served, client: AsyncClient, health: HealthStub, victim: str) -> Kill:
    if not started_by(served.pid, VICTIMS[victim]):
        raise ServerUnavailable(f"no {VICTIMS[victim]} is left to be killed")
    outcomes, ask = Outcomes(), asks(client, Tier.HIGH)
    under_way = [asyncio.ensure_future(outcomes.of(ask)) for _ in range(CALLERS)]
    await asyncio.sleep(0.5)
    # The newest one: Triton starts helpers that end by themselves while models load.
    started_by(served.pid, VICTIMS[victim])[-1].kill()
    try:
        recovery = await _seconds_until_back(health)
    except grpc.RpcError as failure:
        raise error_of(failure, served.address) from failure
    finally:
        await asyncio.gather(*under_way)
    whole = await answered_whole(ask)
    return Kill(victim, recovery if whole else None, outcomes.report())


async def _seconds_until_back(health: HealthStub) -> float | None:
    """Until the server said that it serves no more, and then that it does again: that all models
    are loaded, and have answered. None if it takes longer than RECOVERY_LIMIT_S."""
    begin, went = time.monotonic(), False
    while (seconds := time.monotonic() - begin) < RECOVERY_LIMIT_S:
        checked = await health.Check(HealthCheckRequest(), timeout=REQUEST_TIMEOUT_S)
        if checked.status != HealthCheckResponse.SERVING:
            went = True
        elif went:
            return seconds
        await asyncio.sleep(EVERY_S)
    return None
