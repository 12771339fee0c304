"""Reloads under running requests: real doors, pipeline, artifacts and ONNX Runtime; fake models."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from budgetmem.client import AsyncClient
from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from budgetmem.tiers import Tier
from budgetmem.types import Budget
from server.doors import Doors
from server.engine import Engine
from server.routers import serving_routers
from tests.fakes import FixedRetriever, pipeline
from tests.router_folders import write_router
from tests.server.fake_engine import INFO, FakeHistories

LOW, MID, HIGH = Tier
PROFILE = load_profile("small")


@dataclass
class Gate(FixedRetriever):
    """Holds queries that say "slow" until it is opened; `waiting` counts them."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0

    async def retrieve(self, tenant, history, query, max_tokens=None, *, embed=True):
        if "slow" in query:
            self.waiting += 1
            await self.opened.wait()
        return await super().retrieve(tenant, history, query, max_tokens, embed=embed)


@asynccontextmanager
async def served(*folders, gate=None, sample=False):
    """A client of a server with these routers."""
    doors = Doors()
    async with serving_routers(PROFILE, folders, sample=sample) as routers:
        extractor = pipeline(routers=routers, retriever=gate, profile=PROFILE)
        port = await doors.open("127.0.0.1", 0)
        await doors.serve(Engine(FakeHistories(), extractor, INFO, routers))
        async with AsyncClient(f"127.0.0.1:{port}", timeout_s=20) as client:
            yield client
        await doors.close(0)


async def asked(client, query="Which cat?", strategy="capacity", **budget):
    memory = await client.extract("trip", query, strategy=strategy, budget=Budget(**budget))
    return memory.receipt


def tiers_of(receipt):
    return {step.choice.tier for step in receipt.steps}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "capacity"


async def test_requests_in_flight_keep_their_router_and_new_ones_get_the_new(folder):
    old, gate = write_router(folder, tier=LOW), Gate()
    async with served(folder, gate=gate) as client:
        slow = [asyncio.create_task(asked(client, f"slow {n}")) for n in range(20)]
        while gate.waiting < len(slow):
            await asyncio.sleep(0.01)
        new = write_router(folder, tier=HIGH)
        [router] = await client.reload_routers("capacity")
        assert (router.strategy, router.old_version, router.version) == ("capacity", old, new)
        receipt = await asked(client)
        assert (receipt.router, tiers_of(receipt)) == (new, {HIGH})
        assert (await client.info()).routers["capacity"] == new
        gate.opened.set()
        receipts = await asyncio.gather(*slow)
    assert {receipt.router for receipt in receipts} == {old}
    assert [tiers_of(receipt) for receipt in receipts] == [{LOW}] * len(slow)


async def test_no_request_fails_while_routers_are_swapped_again_and_again(folder):
    versions = {write_router(folder, tier=HIGH)}
    async with served(folder) as client:
        done = asyncio.Event()

        async def ask_on():
            seen = []
            while not done.is_set():
                seen.append(await asked(client))
            return seen

        asking = [asyncio.create_task(ask_on()) for _ in range(4)]
        for tier in (LOW, MID, HIGH) * 3:
            versions.add(write_router(folder, tier=tier))
            await client.reload_routers()
        done.set()
        receipts = [receipt for seen in await asyncio.gather(*asking) for receipt in seen]
    assert receipts
    assert {receipt.router for receipt in receipts} <= versions
    assert all(len(tiers_of(receipt)) == 1 for receipt in receipts)


def cut_off(folder):
    file = folder / "router.onnx"
    file.write_bytes(file.read_bytes()[:100])


def other_strategy(folder):
    write_router(folder, "reasoning", HIGH)


def other_dimension(folder):
    write_router(folder, tier=HIGH, dimension=16)


def noisy(folder):
    write_router(folder, tier=HIGH, noise=True)


FAULTS = [cut_off, other_strategy, other_dimension, noisy, shutil.rmtree]


@pytest.mark.parametrize("spoil", FAULTS)
async def test_a_faulty_router_leaves_the_old_one_serving(folder, spoil):
    old = write_router(folder, tier=LOW)
    async with served(folder) as client:
        spoil(folder)
        with pytest.raises(ConfigError):
            await client.reload_routers()
        receipt = await asked(client)
        assert (receipt.router, tiers_of(receipt)) == (old, {LOW})
        assert (await client.info()).routers["capacity"] == old


async def test_pins_ceilings_and_the_cost_weight_meet_a_trained_router(folder):
    write_router(folder, tier=HIGH)
    async with served(folder) as client:
        pinned = await asked(client, tiers={"filter": MID})
        assert [step.choice.tier for step in pinned.steps] == [MID, HIGH, HIGH, HIGH, HIGH]
        broke = await asked(client, max_cost_usd=0.0)
        assert broke.total.cost_usd == 0.0
        dear, cheap = [await asked(client, cost_weight=weight) for weight in (0.0, 1.0)]
        share = [each.steps[0].choice.probabilities[HIGH] for each in (dear, cheap)]
        assert share[0] > share[1]
        assert cheap.notes == ()
        fixed = await asked(client, strategy="implementation", cost_weight=0.5)
        assert fixed.router == "fixed-mid"
        assert fixed.notes[0].startswith("cost_weight: no effect")


async def test_sampled_tiers_differ_from_call_to_call(folder):
    write_router(folder, tier=LOW)
    async with served(folder, sample=True) as client:
        # The router gives Low 0.987 at most; over 400 decisions other tiers are all but certain.
        receipts = [await asked(client) for _ in range(80)]
    assert len(set().union(*map(tiers_of, receipts))) > 1


async def test_a_faulty_router_stops_the_start(folder):
    write_router(folder)
    cut_off(folder)
    with pytest.raises(ConfigError, match="capacity"):
        async with served(folder):
            pass
