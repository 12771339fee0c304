from __future__ import annotations

import asyncio

import pytest

from budgetmem.client import AsyncClient
from budgetmem.errors import ConfigError, InvalidInput
from budgetmem.integrations.clients import Clients, finished
from budgetmem.integrations.extraction import Extraction, overlaid
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Turn
from tests.server.fake_engine import MEMORY

TURNS = [Turn("t1", "Ana", "I booked"), Turn("t2", "Bo", "Fine")]


async def everything(calls):
    """One call of each, and what came of it."""
    added = (await calls.ingest("trip", TURNS)).added
    exported = [turn async for turn in calls.export("trip")]
    names = [info.history for info in await calls.histories()]
    memory = await calls.extract("trip", "When?", tier=Tier.LOW)
    return added, exported, names, memory, (await calls.delete_turns("trip", ["t1"])).turns


EXPECTED = (2, TURNS, ["trip"], MEMORY, 1)


def test_a_blocking_client_does_what_is_written_for_asyncio(client):
    assert Clients(client=client).run(everything) == EXPECTED


async def test_so_does_one_for_asyncio(server):
    async with AsyncClient(server.address) as client:
        assert await Clients(async_client=client).arun(everything) == EXPECTED


async def test_a_blocking_client_can_be_awaited_in_a_thread(client):
    assert await Clients(client=client).arun(everything) == EXPECTED


async def test_a_client_is_needed_for_calls_that_block(server):
    with pytest.raises(ConfigError, match="or both"):
        Clients()
    async with AsyncClient(server.address) as client:
        with pytest.raises(ConfigError, match="give a `client`"):
            Clients(async_client=client).run(everything)


async def test_cancelling_an_awaited_call_cancels_the_work(server):
    server.pipeline.takes_s = 60
    async with AsyncClient(server.address) as client:
        extraction = Extraction("trip", Clients(async_client=client))
        call = asyncio.create_task(extraction.aextract("When?"))
        while not server.pipeline.requests:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(server.pipeline.cancelled.wait, 30)


def test_a_coroutine_that_waits_is_not_finished():
    with pytest.raises(RuntimeError, match="waits for an event loop"):
        finished(asyncio.sleep(0))


def test_options_of_a_call_go_over_those_of_the_extraction(server, client):
    options = {"budget": Budget(max_cost_usd=1e-4), "strategy": "capacity"}
    extraction = Extraction("trip", Clients(client), options)
    extraction.extract("When?", budget=Budget(max_cost_usd=1e-5))
    extraction.extract("When?")
    asked = [(r.strategy, r.budget.max_cost_usd) for r in server.pipeline.requests]
    assert asked == [("capacity", 1e-5), ("capacity", 1e-4)]


def test_an_option_that_there_is_not_is_refused():
    with pytest.raises(InvalidInput, match="max_cost: unknown option of a query; there are strat"):
        overlaid({}, {"max_cost": 1})
