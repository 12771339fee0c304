"""Models behind a scheduler: what becomes an item, what shares a batch, what is remembered."""

import asyncio
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from budgetmem import text
from budgetmem.backbone import (
    Annotation,
    Caller,
    GenerationRequest,
    HashEncoder,
    ModelSet,
    ScriptedBackbone,
    ScriptedTagger,
)
from budgetmem.config import Profile, load_profile
from budgetmem.errors import BackboneError, InvalidInput, Overloaded, ServerUnavailable
from budgetmem.scheduling.models import ScheduledModels
from budgetmem.scheduling.tier_scheduler import TierScheduler, Work
from budgetmem.stages import INGEST
from budgetmem.text import keywords
from tests.scheduling.running import SCHEDULERS, running, until

ANA = Caller("ana", "extract", born=3.0, deadline=9.0)
ANA_NOW = Caller("ana", "extract")
BEN = Caller("ben", "filter")


class Recorder:
    """In place of a TierScheduler: keeps the works, and lets everything through at once."""

    def __init__(self):
        self.works = []

    async def run(self, work, call):
        self.works.append(work)
        return await call(lambda: self.works.append("first token"))

    async def map(self, works, payloads, call):
        self.works += works
        return list(await call(list(payloads)))


class SlowEncoder(HashEncoder):
    """Answers when it is let; keeps what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.open = asyncio.Event()

    async def embed(self, texts):
        self.asked.append(list(texts))
        await self.open.wait()
        return await super().embed(texts)


def models(encoder=None, tagger=None) -> ModelSet:
    backbones = {"high": ScriptedBackbone(lambda prompt: prompt.upper())}
    return ModelSet(backbones, encoder or HashEncoder(), tagger or ScriptedTagger())


def profile(scheduling=None, **encoder) -> Profile:
    settings = load_profile("small").model_dump()
    settings["encoder"] |= encoder
    settings["scheduling"] |= scheduling or {}
    return Profile.model_validate(settings)


@pytest.fixture(params=SCHEDULERS)
def start(request):
    """Starts a scheduler for a profile's models."""
    return partial(running, kind=request.param)


async def test_a_call_is_an_item_on_its_callers_account():
    recorder = Recorder()
    backbone = ScheduledModels(models(), recorder).bound(ANA).backbones["high"]
    reply = await backbone.generate(GenerationRequest("one two three", 10, shared=8))
    assert reply.text == "ONE TWO THREE"
    expected = Work(("extract", "high"), "ana", 13, "ana\0one two ", born=3.0, deadline=9.0)
    assert recorder.works == [expected, "first token"]


async def test_a_call_that_shares_nothing_has_no_group_and_counted_tokens_are_not_counted_again():
    recorder = Recorder()
    backbone = ScheduledModels(models(), recorder).bound(BEN).backbones["high"]
    await backbone.generate(GenerationRequest("one two three", 10, prompt_tokens=500))
    assert recorder.works[0] == Work(("filter", "high"), "ben", 510, deadline=math.inf)


async def test_the_caller_hears_of_the_first_token_too():
    heard = []
    recorder = Recorder()
    backbone = ScheduledModels(models(), recorder).bound(ANA).backbones["high"]
    await backbone.generate(GenerationRequest("one", 1), lambda: heard.append(True))
    assert (heard, recorder.works[1:]) == ([True], ["first token"])


async def test_every_text_is_an_item_as_long_as_the_encoder_reads_it():
    recorder = Recorder()
    bound = ScheduledModels(models(), recorder, encoder_tokens=3).bound(ANA)
    await bound.encoder.embed(["one two", "", "one two three four"])
    assert [work.tokens for work in recorder.works] == [2, 1, 3]
    assert {work.queue for work in recorder.works} == {("extract", "encoder")}
    recorder.works.clear()
    await bound.tagger.annotate(["one two three four", ""])
    expected = Work(("extract", "tagger"), "ana", 4, born=3.0, deadline=9.0)
    assert recorder.works[0] == expected
    assert recorder.works[1].tokens == 1


async def test_names_and_counters_are_those_of_the_models():
    bound = ScheduledModels(models(), Recorder()).bound(ANA)
    assert (bound.encoder.name, bound.encoder.dimension) == ("hash", 64)
    assert bound.encoder.tokens.count("a b") == bound.backbones["high"].tokens.count("a b") == 2
    assert (bound.backbones["high"].name, bound.tagger.name) == ("scripted", "scripted-tagger")


async def test_results_come_in_the_order_of_the_texts(start):
    texts = ["a", "b c d e f g", "a", "h i", *(f"w{n} x" for n in range(70))]
    async with start(profile()) as scheduler:
        bound = ScheduledModels(models(), scheduler).bound(ANA_NOW)
        vectors = await bound.encoder.embed(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, await HashEncoder().embed(texts))


async def test_texts_of_different_callers_share_a_batch(start):
    encoder = SlowEncoder()
    async with start(profile(credits=1)) as scheduler:
        shared = ScheduledModels(models(encoder), scheduler)
        first = asyncio.create_task(shared.bound(ANA_NOW).encoder.embed(["first"]))
        await until(lambda: encoder.asked)
        others = [
            asyncio.create_task(shared.bound(caller).encoder.embed([text]))
            for caller, text in ((ANA_NOW, "second"), (BEN, "third"))
        ]
        await until(lambda: waiting(scheduler) == 2)
        encoder.open.set()
        results = await asyncio.gather(first, *others)
    assert [sorted(batch) for batch in encoder.asked] == [["first"], ["second", "third"]]
    for result, said in zip(results, ("first", "second", "third"), strict=True):
        np.testing.assert_array_equal(result, await HashEncoder().embed([said]))


def waiting(scheduler: TierScheduler) -> int:
    return sum(of_queue["waiting"] for of_queue in scheduler.stats().queues.values())


async def test_recent_texts_are_not_sent_again_until_they_are_forgotten():
    recorder = Recorder()
    shared = ScheduledModels(models(), recorder)
    ana, again = shared.bound(ANA), shared.bound(replace(ANA, stage="filter"))
    first = await ana.encoder.embed(["x", "x", "y"])
    await ana.tagger.annotate(["x"])
    assert len(recorder.works) == 3
    remembered = again.encoder.remembered(["y", "x", "z"]), again.tagger.remembered(["x", "y"])
    assert remembered == (2, 1)
    np.testing.assert_array_equal(await again.encoder.embed(["y", "x"]), first[[2, 0]])
    assert await again.tagger.annotate(["x"]) == (Annotation(),)
    assert len(recorder.works) == 3
    keywords("pottery")
    shared.forget(ANA.tenant)
    assert text._remembered.cache_info().currsize == 0
    assert (ana.encoder.remembered(["x"]), ana.tagger.remembered(["x"])) == (0, 0)
    await ana.encoder.embed(["x"])
    assert len(recorder.works) == 4


async def test_what_an_ingest_embeds_is_in_the_store_and_not_remembered():
    """A turn that is deleted while the ingest goes on may be in a text that it embeds later."""
    recorder = Recorder()
    scheduled = ScheduledModels(models(), recorder)
    ingesting = scheduled.bound(Caller("ana", INGEST)).encoder
    for _ in range(2):
        vectors = await ingesting.embed(["a", "b"])
    assert len(recorder.works) == 4
    assert scheduled.bound(ANA_NOW).encoder.remembered(["a", "b"]) == 0
    np.testing.assert_array_equal(vectors, await HashEncoder().embed(["a", "b"]))


async def test_no_tenant_can_tell_from_a_memory_what_another_one_asked():
    recorder = Recorder()
    shared = ScheduledModels(models(), recorder)
    ana, ben = shared.bound(ANA), shared.bound(BEN)
    await ana.encoder.embed(["x"])
    await ana.tagger.annotate(["x"])
    assert (ben.encoder.remembered(["x"]), ben.tagger.remembered(["x"])) == (0, 0)
    await ben.encoder.embed(["x"])
    await ben.tagger.annotate(["x"])
    assert [work.tenant for work in recorder.works] == [ANA.tenant, ANA.tenant] + 2 * [BEN.tenant]
    shared.forget(BEN.tenant)
    assert (ana.encoder.remembered(["x"]), ben.encoder.remembered(["x"])) == (1, 0)


async def test_no_tenant_waits_for_the_prefix_of_another():
    recorder = Recorder()
    shared = ScheduledModels(models(), recorder)
    for caller in (ANA, BEN, ANA):
        await shared.bound(caller).backbones["high"].generate(GenerationRequest("abc", 1, shared=2))
    first, other, again = [work.prefix for work in recorder.works if isinstance(work, Work)]
    assert first == again != other
    assert first.endswith("ab")


async def test_a_memory_of_none():
    recorder = Recorder()
    bound = ScheduledModels(models(), recorder, remembered=0).bound(ANA)
    await bound.encoder.embed(["x"])
    assert bound.encoder.remembered(["x"]) == 0
    await bound.encoder.embed(["x"])
    assert len(recorder.works) == 2


async def test_no_texts_make_no_items():
    recorder = Recorder()
    bound = ScheduledModels(models(), recorder).bound(ANA)
    assert (await bound.encoder.embed([])).shape == (0, 64)
    assert await bound.tagger.annotate([]) == ()


async def test_a_failed_batch_is_not_remembered(start):
    class Failing(HashEncoder):
        async def embed(self, texts):
            raise BackboneError("gone")

    async with start(profile()) as scheduler:
        bound = ScheduledModels(models(Failing()), scheduler).bound(BEN)
        with pytest.raises(BackboneError, match="gone"):
            await bound.encoder.embed(["x"])
        assert bound.encoder.remembered(["x"]) == 0


async def test_work_without_a_caller_is_refused(start):
    async with start(profile()) as scheduler:
        unbound = ScheduledModels(models(), scheduler)
        with pytest.raises(InvalidInput, match="queue"):
            await unbound.encoder.embed(["x"])
        with pytest.raises(InvalidInput, match="queue"):
            await unbound.backbones["high"].generate(GenerationRequest("x", 1))


async def test_too_much_work_of_one_tenant_is_overload_and_another_tenant_goes_on(start):
    encoder = SlowEncoder()
    settings = profile({"tenant_capacity": 1}, credits=1, batch_items=1)
    async with start(settings) as scheduler:
        shared = ScheduledModels(models(encoder), scheduler)
        first = asyncio.create_task(shared.bound(ANA_NOW).encoder.embed(["first"]))
        await until(lambda: encoder.asked)
        second = asyncio.create_task(shared.bound(ANA_NOW).encoder.embed(["second"]))
        await until(lambda: waiting(scheduler) == 1)
        with pytest.raises(Overloaded, match="extract/encoder"):
            await shared.bound(ANA_NOW).encoder.embed(["third"])
        other = asyncio.create_task(
            shared.bound(Caller("ben", "extract")).encoder.embed(["fourth"])
        )
        await until(lambda: waiting(scheduler) == 2)
        encoder.open.set()
        await asyncio.gather(first, second, other)


async def test_a_closed_scheduler_refuses(start):
    async with start(profile()) as scheduler:
        bound = ScheduledModels(models(), scheduler).bound(BEN)
    with pytest.raises(ServerUnavailable):
        await bound.backbones["high"].generate(GenerationRequest("x", 1))
    with pytest.raises(ServerUnavailable):
        await bound.encoder.embed(["x"])
