import asyncio
import json
from dataclasses import replace

import pytest

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.config import Profile, load_profile
from budgetmem.dated_chunks import as_found
from budgetmem.errors import BackboneUnavailable, BudgetTooSmall, InvalidInput
from budgetmem.evidence import evidence_of
from budgetmem.info import CostWeights
from budgetmem.modules import MODULES
from budgetmem.pipeline import Event, ExtractRequest, RetrievedEvent, StepEvent
from budgetmem.router import FixedRouter
from budgetmem.stages import STAGES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget, Usage
from tests.fakes import CHUNKS, FixedRetriever, Found, perfect, pipeline, scripted

LOW, MID, HIGH = Tier


def request(strategy: str = "capacity", query: str = "What did Ana adopt?", **budget):
    return ExtractRequest("acme", "chat", query, strategy, Budget(**budget))


def all_at(tier: Tier) -> dict[str, Tier]:
    return dict.fromkeys(MODULES, tier)


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_every_cell_gives_a_memory_and_a_complete_receipt(strategy: str, tier: Tier):
    memory = await pipeline().extract(request(strategy, tiers=all_at(tier)))
    receipt = memory.receipt
    assert "cat" in memory.text
    modules = [name for stage in STAGES.values() for name in stage]
    assert [step.module for step in receipt.steps] == modules
    assert {step.rung for step in receipt.steps} == {str(STRATEGIES[strategy][tier])}
    assert not any(step.fallbacks for step in receipt.steps)
    assert receipt.strategy == strategy
    assert receipt.router == "fixed-mid"
    assert receipt.retrieved_chunk_ids == ("c1", "c2")
    assert set(receipt.kept_chunk_ids) <= {"c1", "c2"}
    parts = sum((step.usage for step in receipt.steps), receipt.retrieval)
    assert receipt.total.cost_usd == pytest.approx(parts.cost_usd)
    assert receipt.total.calls == parts.calls


async def test_an_extractive_memory_is_what_was_found_and_costs_no_more_than_finding_it():
    memory = await pipeline().extract(request("extractive", tiers=all_at(HIGH)))
    assert memory.text == as_found(CHUNKS)
    assert memory.receipt.total.cost_usd == memory.receipt.retrieval.cost_usd
    assert {evidence.turn_ids for evidence in evidence_of(memory)} == {("t1",), ("t2",), ("t3",)}


async def test_prompts_go_to_the_backbone_of_the_tier():
    backbones = scripted()
    tiers = {"filter": LOW, "entity": MID, "temporal": MID, "topic": MID, "summary": HIGH}
    await pipeline(backbones).extract(request(tiers=tiers))
    assert {key: len(b.requests) for key, b in backbones.items()} == {"low": 1, "mid": 3, "high": 1}


async def test_later_modules_read_what_the_filter_kept_and_summary_reads_chunks_and_findings():
    backbones = scripted()
    memory = await pipeline(backbones).extract(request(tiers=all_at(HIGH)))
    assert memory.receipt.kept_chunk_ids == ("c1",)
    filter_prompt, *extractors, summary = (r.prompt for r in backbones["high"].requests)
    assert "Lisbon" in filter_prompt
    assert not any("Lisbon" in prompt for prompt in [*extractors, summary])
    assert "I adopted a cat" in summary
    assert "Ana adopted a cat" in summary.split("<findings>")[1]


async def test_replies_are_held_to_the_schema_of_the_module():
    backbones = scripted()
    await pipeline(backbones).extract(request("implementation", tiers=all_at(HIGH)))
    schemas = [r.schema for r in backbones["high"].requests]
    assert "keep" in schemas[0]["properties"]
    assert "quotes" in schemas[-1]["properties"]


async def test_events_come_as_they_are_ready():
    events: list[Event] = []
    memory = await pipeline().extract(request(), events.append)
    assert events[0] == RetrievedEvent(CHUNKS)
    steps = [event for event in events if isinstance(event, StepEvent)]
    assert steps[0].step.module == "filter"
    assert steps[-1].step.module == "summary"
    in_order = sorted(steps, key=lambda event: list(MODULES).index(event.step.module))
    assert tuple(event.step for event in in_order) == memory.receipt.steps


@pytest.mark.parametrize("reply", ["", "not json at all", "{}", '{"keep": "all"}'])
async def test_a_reply_that_does_not_parse_falls_one_rung_and_is_recorded(reply: str):
    backbones = scripted()
    backbones["high"] = ScriptedBackbone(lambda prompt: reply, name="high")
    memory = await pipeline(backbones).extract(request(tiers={"filter": HIGH, "summary": LOW}))
    step = memory.receipt.steps[0]
    assert step.rung == "ask direct @ mid"
    assert [f.rung for f in step.fallbacks] == ["ask direct @ high"]
    assert step.fallbacks[0].reason.startswith("reply: ")
    assert step.usage.calls == 2
    assert step.usage.failed_calls == 1


async def test_below_the_lowest_rung_is_the_floor():
    mute = {key: ScriptedBackbone(lambda prompt: "", name=key) for key in ("low", "mid", "high")}
    memory = await pipeline(mute).extract(request(tiers=all_at(HIGH)))
    assert {step.rung for step in memory.receipt.steps} == {"apply rules"}
    assert all(len(step.fallbacks) == 3 for step in memory.receipt.steps)
    assert "cat" in memory.text


async def test_failed_calls_are_paid_for():
    mute = {key: ScriptedBackbone(lambda prompt: "", name=key) for key in ("low", "mid", "high")}
    memory = await pipeline(mute).extract(request(tiers=all_at(HIGH)))
    assert memory.receipt.total.cost_usd > 0
    assert memory.receipt.total.failed_calls == 15


@pytest.mark.parametrize("ceiling", [0.0, 1e-9, 1e-8, 1e-7, 3e-6, 1e-5, 3e-5, 1e-4])
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_cost_ceiling_is_hard(strategy: str, ceiling: float):
    memory = await pipeline().extract(request(strategy, tiers=all_at(HIGH), max_cost_usd=ceiling))
    assert memory.receipt.total.cost_usd <= ceiling
    assert "cat" in memory.text


async def test_a_ceiling_that_cannot_pay_for_the_querys_embedding_retrieves_by_keywords():
    note = "retrieval: by keywords alone (max_cost_usd)"
    memory = await pipeline().extract(request(max_cost_usd=0.0))
    assert memory.receipt.notes[0] == note
    assert memory.receipt.retrieval.cost_usd == memory.receipt.total.cost_usd == 0.0
    assert memory.receipt.retrieval.calls == memory.receipt.total.calls == 0
    # The query's four words, at the encoder's price.
    paid = await pipeline().extract(request(max_cost_usd=5 * 0.000424e-6))
    assert note not in paid.receipt.notes
    assert paid.receipt.retrieval.calls == 1


async def test_a_keyword_ranking_has_nothing_to_note():
    settings = load_profile("small").model_dump()
    settings["retrieval"]["ranking"] = "keyword"
    keyword = pipeline(profile=Profile.model_validate(settings))
    memory = await keyword.extract(request(max_cost_usd=0.0))
    assert not any("keywords alone" in note for note in memory.receipt.notes)


async def test_what_does_not_fit_is_masked_and_the_receipt_says_so():
    memory = await pipeline().extract(request("capacity", tiers=all_at(HIGH), max_cost_usd=1e-8))
    step = memory.receipt.steps[0]
    assert step.rung == "apply rules"
    assert step.choice.masked == dict.fromkeys(Tier, "max_cost_usd")
    assert "filter: no tier fits (max_cost_usd), apply rules ran instead" in memory.receipt.notes


async def test_the_latency_ceiling_masks_what_would_take_too_long():
    memory = await pipeline().extract(request(tiers=all_at(HIGH), max_latency_ms=900))
    tiers = {step.choice.tier for step in memory.receipt.steps if "ask" in step.rung}
    assert HIGH not in tiers


async def test_a_call_that_overruns_the_latency_ceiling_is_cut_off():
    class Stuck(ScriptedBackbone):
        async def generate(self, request, on_first_token=None):
            await asyncio.sleep(60)

    stuck = {key: Stuck(perfect, name=key) for key in ("low", "mid", "high")}
    settings = load_profile("small").model_dump()
    for backbone in settings["backbones"].values():
        backbone["speed"] = {"prefill": 1e9, "decode": 1e9}
    profile = Profile.model_validate(settings)
    memory = await asyncio.wait_for(
        pipeline(stuck, profile=profile).extract(request(tiers=all_at(HIGH), max_latency_ms=300)),
        timeout=5,
    )
    first = memory.receipt.steps[0]
    assert first.fallbacks[0].reason == "max_latency_ms"
    assert first.usage.cost_usd > 0
    assert "cat" in memory.text


async def test_a_prompt_longer_than_the_context_is_masked():
    long = replace(CHUNKS[0], text="Ana: cat " * 9000)
    memory = await pipeline(retriever=FixedRetriever(Found((long,)))).extract(
        request(tiers=all_at(LOW))
    )
    step = memory.receipt.steps[0]
    assert step.choice.masked[LOW].startswith("context: ")
    assert step.choice.tier == MID


async def test_a_dead_backbone_is_an_error_and_stops_the_others():
    cancelled = asyncio.Event()

    class Dead(ScriptedBackbone):
        async def generate(self, request, on_first_token=None):
            raise BackboneUnavailable("gone")

    class Slow(ScriptedBackbone):
        async def generate(self, request, on_first_token=None):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise

    backbones = {**scripted(), "mid": Dead(perfect, name="mid"), "high": Slow(perfect, name="high")}
    with pytest.raises(BackboneUnavailable, match="gone"):
        await pipeline(backbones).extract(request(tiers={"filter": LOW, "topic": HIGH}))
    assert cancelled.is_set()


async def test_answering_reads_the_memory_alone():
    backbones = scripted()
    answer = await pipeline(backbones).answer(request(tiers=all_at(HIGH)))
    assert answer.text == "a cat"
    prompt = backbones["high"].requests[-1].prompt
    assert "Ana: I adopted a cat yesterday [7 May 2023]!" in prompt
    assert "Lisbon" not in prompt
    receipt = answer.receipt
    assert receipt.answer.calls == 1
    assert receipt.total.cost_usd == pytest.approx(
        answer.memory.receipt.total.cost_usd + receipt.answer.cost_usd
    )


async def test_the_answer_is_paid_within_the_ceiling():
    for ceiling in (1e-4, 2e-4):
        answer = await pipeline().answer(request(tiers=all_at(HIGH), max_cost_usd=ceiling))
        assert answer.receipt.total.cost_usd <= ceiling


async def test_a_ceiling_below_the_answer_says_what_is_needed():
    with pytest.raises(BudgetTooSmall, match=r"budget.max_cost_usd: the answer alone .* USD"):
        await pipeline().answer(request(max_cost_usd=1e-9))


async def test_a_question_that_is_too_long_for_the_answerer_is_refused_before_anything_is_asked():
    class NeverAsked(FixedRetriever):
        async def retrieve(self, *args, **more):
            raise AssertionError

    backbones = scripted()
    long = request(query="why? " * load_profile("small").backbones["high"].context)
    with pytest.raises(InvalidInput, match=r"query: is too long .*context: \d+ tokens over"):
        await pipeline(backbones, retriever=NeverAsked()).answer(long)
    assert not any(each.requests for each in backbones.values())


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (ExtractRequest("t", "h", "q", "brilliance"), "strategy"),
        (ExtractRequest("t", "h", "q", budget=Budget(tiers={"filtre": LOW})), "budget.tiers"),
    ],
)
async def test_bad_requests_name_the_field(bad: ExtractRequest, field: str):
    with pytest.raises(InvalidInput) as caught:
        await pipeline().extract(bad)
    assert caught.value.field == field


async def test_remembered_texts_are_cache_hits_on_the_receipt():
    class Remembering(HashEncoder):
        def remembered(self, texts):
            return len(texts)

    models = ModelSet(
        scripted(), Remembering(name="minilm-l6-v2"), ScriptedTagger(name="en-core-web-sm")
    )
    memory = await pipeline(models=models).extract(request("implementation", tiers=all_at(MID)))
    assert memory.receipt.steps[0].usage.cache_hits > 0
    assert memory.receipt.total.cache_hits == sum(
        step.usage.cache_hits for step in memory.receipt.steps
    )


async def test_no_chunks_at_all_still_gives_a_receipt():
    memory = await pipeline(retriever=FixedRetriever(Found(()))).extract(
        request("implementation", tiers=all_at(LOW))
    )
    assert memory.text == ""
    assert memory.receipt.total.calls >= 1


def test_usages_add_up():
    one = Usage(1, 2, 0.5, 3.0, 1, 1, 0)
    assert one + one == Usage(2, 4, 1.0, 6.0, 2, 2, 0)


def test_the_scripted_replies_are_json():
    assert json.loads(perfect("that may hold the answer"))["keep"] == [1]


class Trained:
    """As FixedRouter, but the cost weight has an effect."""

    version = "capacity-00000001"
    cost_weights = CostWeights(0.0, 0.9)
    choose = FixedRouter().choose

    def of(self, strategy: str):
        return self if strategy == "capacity" else FixedRouter()


@pytest.mark.parametrize(
    ("strategy", "cost_weight", "notes"),
    [
        ("reasoning", 0.3, ("cost_weight: no effect, reasoning has no trained router here",)),
        ("reasoning", 0.0, ()),
        ("capacity", 0.3, ()),
    ],
)
async def test_a_cost_weight_without_effect_is_noted(strategy, cost_weight, notes):
    memory = await pipeline(routers=Trained()).extract(request(strategy, cost_weight=cost_weight))
    assert memory.receipt.notes == notes


@pytest.mark.parametrize("pinned", [{}, dict.fromkeys(MODULES, Tier.LOW)])
async def test_a_cost_weight_out_of_range_is_refused_before_anything_is_spent(pinned):
    backbones = scripted()
    asked = replace(request("capacity"), budget=Budget(tiers=pinned, cost_weight=0.95))
    with pytest.raises(InvalidInput, match=r"budget\.cost_weight.*0\.95 is not within 0 to 0\.9"):
        await pipeline(backbones, routers=Trained()).extract(asked)
    assert not any(each.requests for each in backbones.values())
