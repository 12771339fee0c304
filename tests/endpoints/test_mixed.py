"""A profile whose High is an endpoint: requests, ceilings and failures, with no server at all."""

import json
import re

import httpx

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.breakers import Breakers
from budgetmem.config import load_profile
from budgetmem.pipeline import ExtractRequest
from budgetmem.tiers import Tier
from budgetmem.tokens import ByteCounter
from budgetmem.types import Budget
from tests.endpoints.fakes import backbone, ended, endpoint, said, stream
from tests.fakes import perfect, pipeline

SMALL = load_profile("small")
PROFILE = SMALL.model_copy(update={"backbones": {**SMALL.backbones, "high": endpoint()}})
ALL_HIGH = dict.fromkeys(("filter", "entity", "temporal", "topic", "summary"), Tier.HIGH)


def answers(request):
    prompt = json.loads(request.content)["messages"][0]["content"]
    reply = perfect(prompt)
    usage = {
        "prompt_tokens": len(prompt.split()),
        "completion_tokens": len(reply.split()),
        "prompt_tokens_details": {"cached_tokens": 8},
    }
    return stream(said(reply), ended(), {"choices": [], "usage": usage})


def models(script):
    local = {key: ScriptedBackbone(perfect, name=key) for key in ("low", "mid")}
    high = backbone(script, ByteCounter())
    encoder = HashEncoder(name=SMALL.encoder.asset)
    tagger = ScriptedTagger(name=SMALL.tagger.asset)
    return ModelSet({**local, "high": high}, encoder, tagger)


async def asked(script, budget, breakers=None):
    with_breakers = {} if breakers is None else {"breakers": breakers}
    made = pipeline(models=models(script), profile=PROFILE, **with_breakers)
    request = ExtractRequest("acme", "trip", "What did Ana adopt?", "capacity", budget)
    return await made.extract(request)


async def test_tiers_may_be_of_different_servers():
    tiers = {**ALL_HIGH, "filter": Tier.LOW}
    memory = await asked(answers, Budget(tiers))
    assert "cat" in memory.text
    by_module = {step.module: step for step in memory.receipt.steps}
    assert by_module["filter"].rung == "ask direct @ low"
    assert by_module["summary"].rung == "ask direct @ high"
    usage = by_module["summary"].usage
    expected = (usage.input_tokens * 1.0 + usage.output_tokens * 2.0) / 1e6
    assert abs(usage.cost_usd - expected) < 1e-12


async def test_a_ceiling_that_its_upper_bound_passes_keeps_the_endpoint_out():
    called = []

    def counting(request):
        called.append(request)
        return answers(request)

    memory = await asked(counting, Budget(ALL_HIGH, max_cost_usd=1e-5))
    assert not called
    assert memory.receipt.total.cost_usd <= 1e-5


async def test_an_endpoint_that_is_away_leaves_its_modules_to_the_tiers_below():
    def away(request):
        return httpx.Response(503, json={"error": {"message": "Loading model"}})

    memory = await asked(away, Budget(ALL_HIGH), Breakers())
    steps = memory.receipt.steps
    assert {step.rung for step in steps} == {"ask direct @ mid"}
    assert all(step.fallbacks[0].reason == "unavailable" for step in steps)


async def test_text_of_a_history_cannot_leave_its_message():
    seen = []

    def noting(request):
        seen.extend(json.loads(request.content)["messages"])
        return answers(request)

    await asked(noting, Budget(ALL_HIGH))
    assert {message["role"] for message in seen} == {"user"}
    assert all(re.match(r"<memor(y|ies)>", message["content"]) for message in seen)
