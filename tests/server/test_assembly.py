from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from budgetmem.backbone import Caller, HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.config import load_profile
from budgetmem.errors import NotFound
from budgetmem.modules import MODULES
from budgetmem.pipeline import ExtractRequest
from budgetmem.router import FixedRouter
from budgetmem.scheduling.models import ScheduledModels
from budgetmem.store.sqlite import SqliteStore
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Turn
from server.assembly import build_engine, describe, open_scheduler
from server.stores import OpenStore
from tests.endpoints.fakes import endpoint
from tests.fakes import perfect


def test_describe_tells_models_tiers_prices_strategies():
    info = describe(load_profile("small"), FixedRouter(Tier.LOW))
    assert [(b.name, b.tiers) for b in info.backbones] == [
        ("low", (Tier.LOW,)),
        ("mid", (Tier.MID,)),
        ("high", (Tier.HIGH,)),
    ]
    assert info.backbones[2].price.input == 0.02886
    assert info.modules == ("filter", "entity", "temporal", "topic", "summary")
    assert info.router == "fixed-low"
    assert {s.name: s.high for s in info.strategies}["reasoning"] == "ask reflective @ high"


def test_describe_gives_one_model_all_its_tiers():
    [only] = describe(load_profile("tiny"), FixedRouter()).backbones
    assert only.tiers == tuple(Tier)


def test_describe_tells_of_an_endpoint_the_model_but_not_where_it_is():
    tiny = load_profile("tiny")
    backbones = {"all": endpoint(base_url="http://10.0.0.7:8000/v1")}
    [only] = describe(tiny.model_copy(update={"backbones": backbones}), FixedRouter()).backbones
    assert (only.triton_model, only.engine, only.weights) == ("", "openai", "tiny-chat")
    assert "10.0.0.7" not in str(only)


PROFILE = load_profile("tiny")
MODELS = ModelSet(
    {"all": ScriptedBackbone(perfect, name="all")},
    HashEncoder(name=PROFILE.encoder.asset),
    ScriptedTagger(name=PROFILE.tagger.asset),
)


async def test_deleting_a_history_empties_the_models_memories_too(tmp_path):
    forgotten = []
    engine = build_engine(PROFILE, MODELS, tmp_path, forgotten.append)
    await engine.histories.ingest("acme", "trip", [Turn("t1", "Ana", "I booked the flight")])
    assert await engine.histories.list("acme") == ["trip"]
    assert forgotten == []
    proof = await engine.histories.delete("acme", "trip")
    assert (proof.turns, proof.remaining, forgotten) == (1, 0, ["acme"])
    with pytest.raises(NotFound):
        await engine.histories.delete("acme", "trip")


@dataclass
class RecordsElsewhere:
    """Notes on which threads records are written."""

    threads: list[str] = field(default_factory=list)

    def keep_record(self, line):
        self.threads.append(threading.current_thread().name)


async def test_records_are_written_on_the_threads_that_wait_for_the_store(tmp_path):
    """A database may hang, and everybody's work must not."""
    records = RecordsElsewhere()
    with ThreadPoolExecutor(1, thread_name_prefix="store") as threads:
        elsewhere = OpenStore(SqliteStore(tmp_path), threads, records=records)
        histories = build_engine(PROFILE, MODELS, tmp_path, opened=elsewhere).histories
        await histories.ingest("acme", "trip", [Turn("t1", "Ana", "I booked the flight")])
        assert (await histories.delete("acme", "trip")).record
    assert records.threads == ["store_0"]


@dataclass
class HangsOn(HashEncoder):
    """Never embeds this text."""

    text: str = ""

    async def embed(self, texts):
        if self.text in texts:
            await asyncio.sleep(600)
        return await super().embed(texts)


async def test_a_request_that_is_in_a_hurry_is_not_held_up_by_an_encoder_that_hangs(tmp_path):
    async with open_scheduler(PROFILE) as scheduler:
        encoder = HangsOn(name=MODELS.encoder.name, text="Which cat?")
        inner = ModelSet(MODELS.backbones, encoder, MODELS.tagger)
        models = ScheduledModels(inner, scheduler)
        engine = build_engine(PROFILE, models, tmp_path, models.forget)
        await engine.histories.ingest("acme", "trip", [Turn("t1", "Ana", "I adopted a cat.")])
        hurry = Budget(dict.fromkeys(MODULES, Tier.LOW), max_latency_ms=500.0)
        asked = engine.pipeline.extract(ExtractRequest("acme", "trip", "Which cat?", budget=hurry))
        memory = await asyncio.wait_for(asked, 30)
        assert memory.receipt.notes[0] == "retrieval: by keywords alone (max_latency_ms)"
        assert "cat" in memory.text
        # It left nothing behind that others would wait for.
        assert scheduler.stats().backbones["encoder"]["credits_in_use"] == 0


async def test_all_work_of_a_request_goes_through_the_scheduler(tmp_path):
    async with open_scheduler(PROFILE) as scheduler:
        models = ScheduledModels(MODELS, scheduler)
        engine = build_engine(PROFILE, models, tmp_path, models.forget)
        turns = [
            Turn(f"t{n}", "Ana", f"I adopted cat {n} on 7 May 2023. It is {n}.") for n in range(3)
        ]
        await engine.histories.ingest("acme", "trip", turns)
        tiers = {"filter": Tier.MID, "entity": Tier.MID, "topic": Tier.HIGH, "summary": Tier.MID}
        query = ExtractRequest("acme", "trip", "Which cat?", budget=Budget(tiers))
        answer = await engine.pipeline.answer(query)
        encoder = models.bound(Caller("acme", "retrieve")).encoder
        assert encoder.remembered(["Which cat?"]) == 1
        await engine.histories.delete("acme", "trip")
        assert encoder.remembered(["Which cat?"]) == 0
    queues = scheduler.stats().queues
    finished = {name: of["finished"] for name, of in queues.items() if of["finished"]}
    assert answer.text == "a cat"
    assert finished["ingest", "encoder"] == 3
    assert finished["retrieve", "encoder"] == 1
    assert finished["extract", "all"] == finished["answer", "all"] == 1
    assert finished["extract", "tagger"] > 0
    assert {stage for stage, _ in finished} == {
        "ingest",
        "retrieve",
        "filter",
        "extract",
        "summary",
        "answer",
    }
