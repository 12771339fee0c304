"""Reloads under running requests: real doors, pipeline, artifacts and ONNX Runtime; fake models."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import onnx
import pytest

from budgetmem.client import AsyncClient
from budgetmem.config import load_profile
from budgetmem.errors import ConfigError, InvalidInput
from budgetmem.info import CostWeights
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from budgetmem.tiers import Tier
from budgetmem.types import Budget
from budgetmem.wire.requests import encode_query
from server.doors import Doors
from server.engine import Engine
from server.routers import serving_routers
from tests.fakes import FixedRetriever, pipeline
from tests.router_folders import ENCODER, write_router
from tests.server.fake_engine import INFO, FakeHistories

LOW, MID, HIGH = Tier
PROFILE = load_profile("small")


@dataclass
class Gate(FixedRetriever):
    """Holds queries that say "slow" until it is opened; `waiting` counts them."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0

    async def retrieve(self, tenant, history, query, max_tokens=None, *, embed=True, **time):
        if "slow" in query:
            self.waiting += 1
            await self.opened.wait()
        return await super().retrieve(tenant, history, query, max_tokens, embed=embed, **time)


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
        info = await client.info()
        assert info.routers["capacity"] == new
        assert info.cost_weights == {"capacity": CostWeights(0.0, 1.0)}
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


def no_router(folder):
    """A sound ONNX file that is something else."""
    write_router(folder, tier=HIGH)
    file = folder / "router.onnx"
    model = onnx.load(file)
    model.graph.output[0].name = model.graph.node[-1].output[0] = "tiers"
    onnx.save(model, file)
    rewrite_card(folder, onnx_sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def rewrite_card(folder, **changes):
    file = folder / "router.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


FAULTS = {
    "cut off": (cut_off, "router.onnx: its SHA-256 is .* cut off"),
    "card cut off": (lambda folder: (folder / "router.json").write_text('{"for'), "or cut off"),
    "no router": (no_router, "router.onnx: not a router: it maps query, .* to tiers"),
    "other strategy": (
        lambda folder: write_router(folder, "reasoning", HIGH),
        "now holds a router of the strategy 'reasoning'",
    ),
    "other dimension": (
        lambda folder: write_router(folder, tier=HIGH, dimension=16),
        r"'minilm-l6-v2' \(16 dimensions\), but the profile 'small' has .* \(384\)",
    ),
    "other encoder": (
        lambda folder: write_router(folder, tier=HIGH, encoder=ENCODER | {"name": "bge-small"}),
        "vectors of the encoder 'bge-small'",
    ),
    "other weights of the encoder": (
        lambda folder: write_router(folder, tier=HIGH, encoder=ENCODER | {"sha256": "0" * 64}),
        "other weights of the encoder 'minilm-l6-v2'",
    ),
    "not a number": (
        lambda folder: write_router(folder, tier=HIGH, slope=float("nan")),
        "the weights 'slope' are not finite",
    ),
    "fails on a trial": (
        lambda folder: write_router(folder, tier=HIGH, fragile=True),
        "fails on a trial",
    ),
    "gone": (shutil.rmtree, "no such folder"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_faulty_router_leaves_the_old_one_serving(folder, fault):
    old = write_router(folder, tier=LOW)
    spoil, message = FAULTS[fault]
    async with served(folder) as client:
        spoil(folder)
        with pytest.raises(ConfigError, match=message):
            await client.reload_routers()
        receipt = await asked(client)
        assert (receipt.router, tiers_of(receipt)) == (old, {LOW})
        assert (await client.info()).routers["capacity"] == old


async def test_a_cost_weight_that_no_router_knows_is_refused_by_field(folder):
    write_router(folder, cost_weight={"min": 0.1, "max": 0.5})
    async with served(folder) as client:
        for weight in (0.0, 0.6):
            with pytest.raises(InvalidInput, match=f"{weight:g} is not within 0.1 to 0.5") as error:
                await asked(client, cost_weight=weight)
            assert error.value.field == "budget.cost_weight"
        request = encode_query("trip", "q", strategy="capacity", budget=Budget(cost_weight=0.6))
        async with grpc.aio.insecure_channel(client.server) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                await MemoryServiceStub(channel).Extract(request, timeout=20)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.trailing_metadata()["budgetmem-field"] == "budget.cost_weight"


async def test_without_a_cost_weight_the_least_counts(folder):
    write_router(folder, tier=HIGH, cost_weight={"min": 0.5, "max": 1.0})
    async with served(folder) as client:
        absent, least, most = [
            (await asked(client, **given)).steps[0].choice.probabilities
            for given in ({}, {"cost_weight": 0.5}, {"cost_weight": 1.0})
        ]
    assert absent == least != most


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
        assert [each.steps[0].choice.cost_weight for each in (dear, cheap, pinned)] == [0, 1, None]
        assert pinned.steps[1].choice.cost_weight == 0
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
