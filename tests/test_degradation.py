"""What is done without when models are away, and what the receipt says of it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.breakers import Breaker, BreakerLimits, Breakers
from budgetmem.config import ENCODER, load_profile
from budgetmem.errors import (
    BackboneError,
    BackboneUnavailable,
    BudgetTooSmall,
    DeadlineExceeded,
)
from budgetmem.guarded import GuardedModels, Outage, Retries, breakers_of
from budgetmem.history import Histories
from budgetmem.ledger import Ledger
from budgetmem.pipeline import ExtractRequest
from budgetmem.prices import PriceBook
from budgetmem.prompting import answer_prompt
from budgetmem.rungs import Rungs
from budgetmem.store.sqlite import SqliteStore
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Fallback, Turn, Usage, Workspace
from tests.fakes import FixedRetriever, Found, kept_ledgers, perfect, pipeline, scripted

LOW, MID, HIGH = Tier


@dataclass
class Away(ScriptedBackbone):
    error: Callable[[str], Exception] = BackboneUnavailable

    async def generate(self, request, on_first_token=None):
        self.requests.append(request)
        raise self.error("gone")


refused = partial(BackboneUnavailable, reached=False)
"""What is known never to have come to its model."""


def asked(strategy="capacity", tier=HIGH, **given) -> ExtractRequest:
    tiers = dict.fromkeys(("filter", "entity", "temporal", "topic", "summary"), tier)
    return ExtractRequest("t", "h", "What did Ana adopt?", strategy, Budget(tiers), **given)


def open_breaker(name):
    breaker = Breaker(name, BreakerLimits(failures=1, rest_s=1e9))
    with pytest.raises(BackboneUnavailable), breaker.call():
        raise BackboneUnavailable("gone")
    return breaker


async def test_a_call_that_fails_falls_to_the_tier_below_and_the_receipt_says_so():
    backbones = {**scripted(), "high": Away(perfect, name="high")}
    memory = await pipeline(backbones, breakers=Breakers()).extract(asked())
    for step in memory.receipt.steps:
        assert step.rung.endswith("@ mid")
        assert step.fallbacks == (Fallback(step.fallbacks[0].rung, "unavailable"),)
        assert step.fallbacks[0].rung.endswith("@ high")
        assert (step.usage.calls, step.usage.failed_calls) == (2, 1)
    assert memory.receipt.total.failed_calls == 5


@pytest.mark.parametrize("error", [BackboneUnavailable, refused])
async def test_what_a_call_that_broke_may_have_cost_is_on_ledger_and_receipt(monkeypatch, error):
    ledgers = kept_ledgers(monkeypatch)
    backbones = {**scripted(), "high": Away(perfect, name="high", error=error)}
    memory = await pipeline(backbones, breakers=Breakers()).extract(asked())
    without = await pipeline(breakers=Breakers()).extract(asked(tier=MID))
    total, paid = memory.receipt.total, without.receipt.total
    assert total.cost_usd == pytest.approx(ledgers[0].spent_usd)
    assert (total.cost_usd == paid.cost_usd) == (error is refused)
    assert total.cost_usd >= paid.cost_usd
    assert (total.calls, total.failed_calls) == (paid.calls + 5, 5)


@dataclass
class Lost(ScriptedBackbone):
    """Its first calls come to it, and are lost."""

    times: int = 2

    async def generate(self, request, on_first_token=None):
        if self.times > 0:
            self.times -= 1
            raise BackboneUnavailable("went away")
        return await super().generate(request, on_first_token)


def losing_models(times):
    backbones = {**scripted(), "high": Lost(perfect, name="high", times=times)}
    task_models = HashEncoder(name="minilm-l6-v2"), ScriptedTagger(name="en-core-web-sm")
    return ModelSet(backbones, *task_models)


def losing(times, breakers):
    async def at_once(_seconds):
        return None

    models = GuardedModels(losing_models(times), breakers, Outage(), Retries(sleep=at_once))
    return pipeline(models=models, breakers=breakers)


async def test_calls_that_were_lost_are_made_again_and_may_have_cost_too(monkeypatch):
    ledgers = kept_ledgers(monkeypatch)
    memory = await losing(2, breakers_of(scripted())).extract(asked())
    paid = (await losing(0, breakers_of(scripted())).extract(asked())).receipt
    first, once = memory.receipt.steps[0].usage, paid.steps[0].usage
    assert (first.calls, first.failed_calls) == (once.calls + 2, 2)
    assert first.cost_usd >= 3 * once.cost_usd
    assert memory.receipt.total.cost_usd == pytest.approx(ledgers[0].spent_usd)
    assert all(not step.fallbacks for step in memory.receipt.steps)


async def test_a_call_that_cannot_be_paid_twice_is_not_made_twice():
    whole = (await losing(0, breakers_of(scripted())).extract(asked())).receipt.total.cost_usd
    for share in (0.5, 1.0, 1.5, 3.0):
        request = asked()
        ceiling = replace(request.budget, max_cost_usd=share * whole)
        found = await losing(2, breakers_of(scripted())).extract(replace(request, budget=ceiling))
        assert found.receipt.total.cost_usd <= share * whole


async def test_a_lost_call_is_waited_for_between_attempts_and_no_longer_than_there_is_time():
    waits = []

    async def note(seconds):
        waits.append(seconds)
        await asyncio.sleep(60.0 if seconds > 0.3 else 0.0)

    profile = load_profile("small").model_copy(update={"answerer": "high"})
    models = GuardedModels(losing_models(9), breakers_of(scripted()), Outage())
    retries = Retries(draw=lambda low, high: high, sleep=note)
    rungs = Rungs(profile, models, PriceBook.of(profile), retries=retries)
    prompt = answer_prompt("", Workspace.start("Who?", (), None))
    with pytest.raises(DeadlineExceeded, match="while answering"):
        await rungs.answer(prompt, Ledger(Budget(max_latency_ms=200.0)))
    assert waits == [0.2, 0.4]


async def test_a_model_whose_breaker_is_open_is_not_asked_and_its_tier_is_masked():
    backbones = scripted()
    memory = await pipeline(backbones, breakers=Breakers({"high": open_breaker("high")})).extract(
        asked()
    )
    assert backbones["high"].requests == []
    for step in memory.receipt.steps:
        assert step.choice.tier == MID
        assert step.choice.masked == {HIGH: "unavailable"}
        assert step.fallbacks == ()


async def test_with_every_model_away_the_floor_is_left():
    away = {key: Away(perfect, name=key) for key in ("low", "mid", "high")}
    memory = await pipeline(away, breakers=Breakers()).extract(asked())
    assert {step.rung for step in memory.receipt.steps} == {"apply rules"}
    assert "cat" in memory.text


async def test_specialists_need_their_models_too():
    class Gone(ScriptedTagger):
        async def annotate(self, texts):
            raise BackboneUnavailable("gone")

    models = ModelSet(scripted(), HashEncoder(name="minilm-l6-v2"), Gone(name="en-core-web-sm"))
    memory = await pipeline(models=models, breakers=Breakers()).extract(
        asked("implementation", MID)
    )
    entity = memory.receipt.steps[1]
    assert entity.rung == "apply rules"
    assert entity.fallbacks == (Fallback("apply specialist", "unavailable"),)
    assert (entity.usage.calls, entity.usage.failed_calls) == (1, 1)
    assert entity.usage.cost_usd > 0  # it may have been read


class NeedsEncoder(FixedRetriever):
    """Cannot embed."""

    async def retrieve(self, tenant, history, query, max_tokens=None, *, embed=True, **time):
        if embed:
            raise BackboneUnavailable("gone")
        return replace(Found(), tokens=0)


@pytest.mark.parametrize(
    ("retriever", "breakers", "failed"),
    [
        (NeedsEncoder(), Breakers(), 1),
        (FixedRetriever(), Breakers({ENCODER: open_breaker(ENCODER)}), 0),
    ],
)
async def test_without_the_encoder_keywords_rank(retriever, breakers, failed):
    memory = await pipeline(retriever=retriever, breakers=breakers).extract(asked())
    assert memory.receipt.notes[0] == "retrieval: by keywords alone (unavailable)"
    retrieval = memory.receipt.retrieval
    assert retrieval.calls == retrieval.failed_calls == failed
    assert (retrieval.cost_usd > 0) == bool(failed)


@pytest.mark.parametrize(
    ("error", "breakers"), [(BackboneUnavailable, None), (BackboneError, Breakers())]
)
async def test_else_it_is_an_error(error, breakers):
    """Who measures tiers wants no other one in silence; and an error that stays is no outage."""
    backbones = {**scripted(), "high": Away(perfect, name="high", error=error)}
    with pytest.raises(error, match="gone"):
        await pipeline(backbones, breakers=breakers).extract(asked())
    if breakers is None:
        with pytest.raises(error, match="gone"):
            await pipeline(retriever=NeedsEncoder()).extract(asked())


async def test_without_the_answerer_there_is_no_answer():
    backbones = {**scripted(), "high": Away(perfect, name="high")}
    with pytest.raises(BackboneUnavailable, match="gone"):
        await pipeline(backbones, breakers=Breakers()).answer(asked())


class HangsEncoder(HashEncoder):
    """Answers what is ingested, and nothing else ever."""

    async def embed(self, texts):
        if texts != ["Ana: I adopted a cat yesterday!"]:
            await asyncio.sleep(600)
        return await super().embed(texts)


TAGGER = ScriptedTagger(name="en-core-web-sm")


class HangsTagger(ScriptedTagger):
    """Never answers."""

    async def annotate(self, texts):
        await asyncio.sleep(600)


async def in_time(extracting):
    """The memory, which came no later than it was promised, for a machine that is busy."""
    return await asyncio.wait_for(extracting, 30)


def ceiling(milliseconds):
    request = asked("implementation", MID)
    return replace(request, budget=replace(request.budget, max_latency_ms=milliseconds))


LIMITS = [
    (lambda: ceiling(500.0), "max_latency_ms"),
    (lambda: asked("implementation", MID, deadline=time.monotonic() + 0.5), "deadline"),
]


@pytest.mark.parametrize(("request_of", "limit"), LIMITS)
async def test_a_tagger_that_is_late_is_cut_off_and_its_rung_falls(request_of, limit):
    encoder = HashEncoder(name="minilm-l6-v2")
    models = ModelSet(scripted(), encoder, HangsTagger(name="en-core-web-sm"))
    memory = await in_time(pipeline(models=models, breakers=Breakers()).extract(request_of()))
    entity = memory.receipt.steps[1]
    assert (entity.module, entity.rung) == ("entity", "apply rules")
    assert entity.fallbacks == (Fallback("apply specialist", limit),)
    # It may read to the end, and is paid for so.
    assert entity.usage.failed_calls == 1
    assert entity.usage.cost_usd > 0
    assert memory.receipt.notes == ()
    assert "cat" in memory.text


@pytest.mark.parametrize(("request_of", "limit"), LIMITS)
async def test_an_encoder_that_is_late_is_cut_off_and_keywords_rank(tmp_path, request_of, limit):
    models = ModelSet(scripted(), HangsEncoder(name="minilm-l6-v2"), TAGGER)
    histories = Histories(SqliteStore(tmp_path), models.encoder, load_profile("small").retrieval)
    await histories.ingest("t", "h", [Turn("t1", "Ana", "I adopted a cat yesterday!")])
    whole = pipeline(models=models, retriever=histories, breakers=Breakers())
    memory = await in_time(whole.extract(request_of()))
    assert memory.receipt.notes == (f"retrieval: by keywords alone ({limit})",)
    retrieval = memory.receipt.retrieval
    assert (retrieval.calls, retrieval.failed_calls, retrieval.input_tokens) == (1, 1, 0)
    assert retrieval.cost_usd > 0
    assert {step.rung for step in memory.receipt.steps} == {"apply rules"}
    assert "cat" in memory.text


async def test_with_a_late_encoder_there_is_still_time_for_the_answer(tmp_path):
    """By its estimate it needs all of it: of that, the encoder is given a moment."""
    models = ModelSet(scripted(), HangsEncoder(name="minilm-l6-v2"), TAGGER)
    histories = Histories(SqliteStore(tmp_path), models.encoder, load_profile("small").retrieval)
    await histories.ingest("t", "h", [Turn("t1", "Ana", "I adopted a cat yesterday!")])
    whole = pipeline(models=models, retriever=histories, breakers=Breakers())
    request = asked("implementation", MID, max_tokens=8000, deadline=time.monotonic() + 20)
    answer = await in_time(whole.answer(request))
    assert answer.text == "a cat"
    assert answer.receipt.notes == ("retrieval: by keywords alone (deadline)",)
    assert answer.receipt.retrieval.milliseconds >= 500


@dataclass
class CountsTexts(HashEncoder):
    read: list[str] = field(default_factory=list)

    async def embed(self, texts):
        self.read += texts
        return await super().embed(texts)


@dataclass
class CountsTags(ScriptedTagger):
    read: list[str] = field(default_factory=list)

    async def annotate(self, texts):
        self.read += texts
        return await super().annotate(texts)


@pytest.mark.parametrize("strategy", ["capacity", "implementation"])
async def test_when_time_is_over_nothing_is_asked_and_nothing_costs(tmp_path, strategy):
    backbones = scripted()
    models = ModelSet(
        backbones, CountsTexts(name="minilm-l6-v2"), CountsTags(name="en-core-web-sm")
    )
    histories = Histories(SqliteStore(tmp_path), models.encoder, load_profile("small").retrieval)
    await histories.ingest("t", "h", [Turn("t1", "Ana", "I adopted a cat yesterday!")])
    models.encoder.read.clear()
    request = asked(strategy, MID)
    request = replace(request, budget=replace(request.budget, max_latency_ms=0.0))
    memory = await pipeline(models=models, retriever=histories).extract(request)
    assert models.encoder.read == models.tagger.read == []
    assert not any(backbone.requests for backbone in backbones.values())
    total = memory.receipt.total
    assert total == Usage(milliseconds=total.milliseconds)
    assert {step.choice.masked[MID] for step in memory.receipt.steps} == {"max_latency_ms"}
    assert "cat" in memory.text


class Clock:
    seconds = 50.0

    def __call__(self):
        return self.seconds


async def test_a_deadline_masks_what_would_come_too_late():
    """At the profile's speeds the largest model needs about a second for one module."""
    memory = await pipeline(clock=Clock()).extract(asked(deadline=50.2))
    assert memory.receipt.steps[0].choice.masked[HIGH] == "deadline"
    assert "cat" in memory.text
    unhurried = await pipeline(clock=Clock()).extract(asked(deadline=5000.0))
    assert unhurried.receipt.steps[0].choice.masked == {}


async def test_the_nearer_of_deadline_and_ceiling_counts():
    request = asked(deadline=5000.0)
    ceiling = replace(request, budget=replace(request.budget, max_latency_ms=200.0))
    memory = await pipeline(clock=Clock()).extract(ceiling)
    assert memory.receipt.steps[0].choice.masked[HIGH] == "max_latency_ms"


async def test_an_answer_is_tried_until_the_deadline_and_not_refused_by_an_estimate():
    answer = await pipeline(clock=Clock()).answer(asked(deadline=50.01))
    assert answer.text == "a cat"
    assert {step.rung for step in answer.receipt.steps} == {"apply rules"}
    with pytest.raises(DeadlineExceeded, match="the caller's deadline passed while answering"):
        await pipeline(clock=Clock()).answer(asked(deadline=49.0))


@pytest.mark.parametrize(("waited_s", "error"), [(59.0, DeadlineExceeded), (0.0, BudgetTooSmall)])
async def test_time_that_was_spent_waiting_is_not_taken_for_a_ceiling_too_small(waited_s, error):
    needed = asked(arrived=50.0 - waited_s)
    ceiling = 60_000.0 if waited_s else 100.0
    request = replace(needed, budget=replace(needed.budget, max_latency_ms=ceiling))
    with pytest.raises(error, match=r"budget\.max_latency_ms: the answer alone") as raised:
        await pipeline(clock=Clock()).answer(request)
    assert ("59000 ms were spent waiting" in str(raised.value)) == bool(waited_s)
