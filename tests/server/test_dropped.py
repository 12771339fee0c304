"""Callers that go: their queued and their running work ends at once, and its credits come back.

The models are scripted and never end by themselves, so nothing but the cancellation is measured;
the machine may be busy, so the best of several times counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedTagger
from budgetmem.client import AsyncClient
from budgetmem.config import load_profile
from budgetmem.errors import BudgetMemError
from budgetmem.scheduling.models import ScheduledModels
from budgetmem.scheduling.tier_scheduler import TierScheduler
from budgetmem.tiers import Tier
from budgetmem.types import Turn
from server.assembly import build_engine, open_scheduler
from server.doors import Doors
from tests.relay import Relay

pytestmark = pytest.mark.timeout(600)

PROMISED_S = 0.2
TRIES = 15
CALLS = 12
PROFILE = load_profile("tiny")
TURNS = [Turn(f"t{n}", "Ana", f"On day {n} I met Bo.") for n in range(12)]
WAIT_S = 60.0


@dataclass
class EndlessBackbone:
    """Works on every prompt until it is cancelled."""

    name: str = "endless"
    tokens = HashEncoder().tokens

    async def generate(self, request, on_first_token=None):
        await asyncio.Event().wait()


@dataclass
class Served:
    port: int
    scheduler: TierScheduler

    @property
    def waiting(self) -> int:
        return sum(each["waiting"] for each in self.scheduler.stats().queues.values())

    @property
    def in_flight(self) -> int:
        """Each holds a credit."""
        return sum(each["in_flight"] for each in self.scheduler.stats().queues.values())


@asynccontextmanager
async def served(folder) -> AsyncIterator[Served]:
    encoder, tagger = HashEncoder(name=PROFILE.encoder.asset), ScriptedTagger(name="tagger")
    models = ModelSet(dict.fromkeys(PROFILE.backbones, EndlessBackbone()), encoder, tagger)
    async with open_scheduler(PROFILE) as scheduler:
        scheduled = ScheduledModels(models, scheduler)
        doors = Doors()
        port = await doors.open("127.0.0.1", 0)
        await doors.serve(build_engine(PROFILE, scheduled, folder, scheduler=scheduler))
        async with AsyncClient(f"127.0.0.1:{port}") as client:
            await client.ingest("trip", TURNS)
        try:
            yield Served(port, scheduler)
        finally:
            await doors.close(0)


async def asking(client: AsyncClient) -> None:
    with suppress(BudgetMemError):
        await client.extract("trip", "Whom did Ana meet?", strategy="capacity", tier=Tier.HIGH)


async def becomes(condition: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < WAIT_S
        await asyncio.sleep(0.001)
    return time.monotonic() - begin


async def cancelled(server: Served) -> float:
    """All calls are cancelled by their callers."""
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        calls = [asyncio.ensure_future(asking(client)) for _ in range(CALLS)]
        await becomes(lambda: server.waiting > 0 and server.in_flight > 0)
        for call in calls:
            call.cancel()
        seconds = await becomes(lambda: server.waiting + server.in_flight == 0)
        await asyncio.gather(*calls, return_exceptions=True)
        return seconds


async def dropped(server: Served) -> float:
    """The connection of all calls breaks, and nobody says a word."""
    relay = Relay(server.port)
    listening = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    async with listening:
        address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with AsyncClient(address) as client:
            calls = [asyncio.ensure_future(asking(client)) for _ in range(CALLS)]
            await becomes(lambda: server.waiting > 0 and server.in_flight > 0)
            listening.close()
            relay.cut()
            seconds = await becomes(lambda: server.waiting + server.in_flight == 0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            return seconds


@pytest.mark.parametrize("leave", [cancelled, dropped])
async def test_the_work_of_those_who_go_ends_within_what_is_promised(tmp_path, leave):
    async with served(tmp_path) as server:
        for _ in range(TRIES):
            if await leave(server) < PROMISED_S:
                return
        raise AssertionError("not once within what is promised")
