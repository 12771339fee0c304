from __future__ import annotations

import pytest

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.config import load_profile
from budgetmem.errors import NotFound
from budgetmem.router import FixedRouter
from budgetmem.tiers import Tier
from budgetmem.types import Turn
from server.assembly import build_engine, describe


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


async def test_deleting_a_history_empties_the_models_memories_too(tmp_path):
    profile = load_profile("tiny")
    names = profile.encoder.triton_model, profile.tagger.triton_model
    models = ModelSet(
        {"all": ScriptedBackbone({})}, HashEncoder(name=names[0]), ScriptedTagger(name=names[1])
    )
    forgotten = []
    engine = build_engine(profile, models, tmp_path, lambda: forgotten.append(True))
    await engine.histories.ingest("acme", "trip", [Turn("t1", "Ana", "I booked the flight")])
    assert await engine.histories.list("acme") == ["trip"]
    assert forgotten == []
    proof = await engine.histories.delete("acme", "trip")
    assert (proof.turns, proof.remaining, forgotten) == (1, 0, [True])
    with pytest.raises(NotFound):
        await engine.histories.delete("acme", "trip")
