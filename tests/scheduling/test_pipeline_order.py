"""The pipeline behind a real scheduler: who waits for whom, and what a late call costs."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from budgetmem.backbone import (
    Caller,
    GenerationRequest,
    HashEncoder,
    ModelSet,
    ScriptedBackbone,
    ScriptedTagger,
)
from budgetmem.config import Profile, load_profile
from budgetmem.errors import BackboneError
from budgetmem.modules import MODULES
from budgetmem.pipeline import ExtractRequest
from budgetmem.scheduling.models import ScheduledModels
from budgetmem.scheduling.tier_scheduler import TierScheduler
from budgetmem.tiers import Tier
from budgetmem.types import Budget
from tests.fakes import perfect, pipeline, scripted
from tests.scheduling.running import SCHEDULERS, running, until

EXTRACTORS = {
    "extract the relations": "entity",
    "extract the events": "temporal",
    "collect the facts": "topic",
}


class StepByStep(ScriptedBackbone):
    """Reads an extractor's prompt when the test says so, and fails the first one if told to."""

    def __init__(self, *, first_fails=False):
        super().__init__(perfect, name="high")
        self.first_fails = first_fails
        self.events: list[tuple[str, str]] = []
        self.read = asyncio.Event()
        self.reply = asyncio.Event()

    async def generate(self, request, on_first_token=None):
        module = next((name for key, name in EXTRACTORS.items() if key in request.prompt), None)
        if module is None:
            return await super().generate(request, on_first_token)
        self.events.append((module, "starts"))
        if self.first_fails and len(self.events) == 1:
            raise BackboneError("gone")
        await self.read.wait()
        on_first_token()
        self.events.append((module, "read"))
        await self.reply.wait()
        return await super().generate(request)

    @property
    def started(self):
        return [module for module, event in self.events if event == "starts"]


@pytest.fixture(params=SCHEDULERS)
def served(request):
    """Serves with a backbone `high`: a pipeline whose calls wait in a scheduler, the models and
    the scheduler."""

    @asynccontextmanager
    async def serve(high, settings: Profile | None = None):
        settings = settings or load_profile("small")
        inner = ModelSet(
            backbones={**scripted(), "high": high},
            encoder=HashEncoder(name="minilm-l6-v2"),
            tagger=ScriptedTagger(name="en-core-web-sm"),
        )
        async with running(settings, request.param) as scheduler:
            models = ScheduledModels(inner, scheduler)
            yield pipeline(models=models, profile=settings), models, scheduler

    return serve


def ask(tenant="acme", **budget) -> ExtractRequest:
    tiers = dict.fromkeys(MODULES, Tier.HIGH)
    return ExtractRequest(
        tenant, "chat", "What did Ana adopt?", "capacity", Budget(tiers, **budget)
    )


def waits(scheduler: TierScheduler, waiting: int, in_flight: int) -> bool:
    stats = scheduler.stats().queues["extract", "high"]
    return (stats["waiting"], stats["in_flight"]) == (waiting, in_flight)


async def test_siblings_follow_the_first_token_of_the_call_that_leads(served):
    high = StepByStep()
    async with served(high) as (pipe, _, scheduler):
        run = asyncio.create_task(pipe.extract(ask()))
        await until(lambda: high.started and waits(scheduler, 2, 1))
        [leader] = high.started
        high.read.set()
        await until(lambda: len(high.events) == 6)
        high.reply.set()
        memory = await run
    assert high.events[:2] == [(leader, "starts"), (leader, "read")]
    assert sorted(high.started) == ["entity", "temporal", "topic"]
    assert {step.rung for step in memory.receipt.steps} == {"ask direct @ high"}


async def test_when_the_leader_fails_a_sibling_leads(served):
    high = StepByStep(first_fails=True)
    async with served(high) as (_, models, scheduler):
        bound = models.bound(Caller("acme", "extract"))
        asks = [GenerationRequest(f"memories {key}", 8, shared=9) for key in EXTRACTORS]
        runs = [asyncio.create_task(bound.backbones["high"].generate(each)) for each in asks]
        await until(lambda: len(high.started) == 2 and waits(scheduler, 1, 1))
        high.read.set()
        high.reply.set()
        results = await asyncio.gather(*runs, return_exceptions=True)
        stats = scheduler.stats().backbones["high"]
    [failed] = [result for result in results if isinstance(result, BackboneError)]
    assert str(failed) == "gone"
    promoted = high.started[1]
    assert high.events[1:3] == [(promoted, "starts"), (promoted, "read")]
    assert len(high.started) == 3
    assert stats["promotions"] == 1


async def test_requests_with_other_memories_do_not_wait_for_the_leader(served):
    high = StepByStep()
    async with served(high) as (pipe, models, scheduler):
        run = asyncio.create_task(pipe.extract(ask()))
        await until(lambda: high.started and waits(scheduler, 2, 1))
        other = models.bound(Caller("ben", "extract")).backbones["high"]
        reply = await other.generate(GenerationRequest("other memories: Answer:", 8, shared=15))
        assert reply.text == "a cat"
        assert len(high.started) == 1
        high.read.set()
        high.reply.set()
        await run


def quick(*, credits: int) -> Profile:
    """Estimates some ten milliseconds a call, on `high` a hundred, which has so many credits."""
    settings = load_profile("small").model_dump()
    for backbone in settings["backbones"].values():
        backbone["speed"] = {"prefill": 1e4, "decode": 1e4}
    settings["backbones"]["high"] |= {
        "speed": {"prefill": 1e3, "decode": 1e3},
        "credits": credits,
        "device": None,  # so that the others do not wait for it
    }
    return Profile.model_validate(settings)


async def test_a_call_that_waits_too_long_is_dropped_for_nothing_and_the_next_rung_runs(served):
    class Busy(ScriptedBackbone):
        async def generate(self, request, on_first_token=None):
            self.requests.append(request)
            await asyncio.Event().wait()

    high = Busy(perfect, name="high")
    async with served(high, quick(credits=1)) as (pipe, models, scheduler):
        blocking = models.bound(Caller("ben", "answer")).backbones["high"]
        blocked = asyncio.create_task(blocking.generate(GenerationRequest("x", 1)))
        await until(lambda: high.requests)
        memory = await pipe.extract(ask(max_latency_ms=600))
        stats = scheduler.stats().queues["filter", "high"]
        blocked.cancel()
        await asyncio.gather(blocked, return_exceptions=True)
    step = memory.receipt.steps[0]
    assert [fallback.reason for fallback in step.fallbacks] == ["max_latency_ms"]
    assert step.rung == "ask direct @ mid"
    assert (step.usage.calls, step.usage.failed_calls) == (1, 0)
    assert step.usage.milliseconds < 600
    assert len(high.requests) == 1
    assert stats["expired"] == 1
    assert "cat" in memory.text


async def test_a_cancelled_request_leaves_nothing_in_line(served):
    high = StepByStep()
    async with served(high) as (pipe, _, scheduler):
        run = asyncio.create_task(pipe.extract(ask()))
        await until(lambda: high.started and waits(scheduler, 2, 1))
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await until(lambda: waits(scheduler, 0, 0))
    assert len(high.started) == 1
