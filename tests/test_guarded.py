"""Calls to guarded models: made again while it may help, and never past an open breaker."""

import asyncio
import time
from dataclasses import dataclass, field, replace

import pytest

from budgetmem.backbone import (
    Caller,
    GenerationRequest,
    HashEncoder,
    ModelSet,
    ScriptedBackbone,
    ScriptedTagger,
)
from budgetmem.breakers import Breaker, BreakerLimits, BreakerState
from budgetmem.config import ENCODER, TAGGER
from budgetmem.errors import BackboneError, BackboneUnavailable, DeadlineExceeded
from budgetmem.guarded import GuardedModels, Outage, Retries, breakers_of
from budgetmem.timeouts import within

ASKED = GenerationRequest("q", 4)


@dataclass
class Flaky(ScriptedBackbone):
    """Fails with these errors first."""

    failures: list[Exception] = field(default_factory=list)

    async def generate(self, request, on_first_token=None):
        if self.failures:
            self.requests.append(request)
            raise self.failures.pop(0)
        return await super().generate(request, on_first_token)


@dataclass
class Waits:
    """Notes what would have been waited for."""

    bounds: list[float] = field(default_factory=list)

    def draw(self, low, high):
        self.bounds.append(high)
        return low

    async def sleep(self, seconds):
        assert seconds == 0.0


def gone(count, *, reached=False):
    return [BackboneUnavailable("gone", reached=reached) for _ in range(count)]


def guarded(backbone, outage=None, limits=None):
    waits = Waits()
    models = ModelSet({"high": backbone}, HashEncoder(), ScriptedTagger())
    breakers = breakers_of(models.backbones, lambda name: Breaker(name, limits))
    retries = Retries(draw=waits.draw, sleep=waits.sleep)
    made = GuardedModels(models, breakers, outage or Outage(), retries)
    return made, breakers, waits


async def test_what_fails_for_a_moment_is_asked_again():
    backbone = Flaky(lambda _: "yes", failures=gone(2))
    models, breakers, waits = guarded(backbone)
    assert (await models.backbones["high"].generate(ASKED)).text == "yes"
    assert len(backbone.requests) == 3
    assert waits.bounds == [0.2, 0.4]
    assert breakers.by_model["high"].state is BreakerState.CLOSED


async def test_a_server_is_waited_for_as_long_as_it_asks():
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    backbone = Flaky(lambda _: "yes", failures=[BackboneUnavailable("busy", 2.0, reached=False)])
    models = ModelSet({"high": backbone}, HashEncoder(), ScriptedTagger())
    retries = Retries(draw=lambda low, high: high, sleep=sleep)
    made = GuardedModels(models, breakers_of(models.backbones), Outage(), retries)
    assert (await made.backbones["high"].generate(ASKED)).text == "yes"
    assert waited == [2.2]


async def test_a_server_that_asks_for_too_long_is_not_waited_for():
    backbone = Flaky(lambda _: "yes", failures=[BackboneUnavailable("busy", retry_after_s=60.0)])
    models, _, _ = guarded(backbone)
    with pytest.raises(BackboneUnavailable, match="busy"):
        await models.backbones["high"].generate(ASKED)
    assert len(backbone.requests) == 1


async def test_after_the_last_attempt_it_is_an_error():
    backbone = Flaky(lambda _: "yes", failures=gone(3))
    models, _, _ = guarded(backbone)
    with pytest.raises(BackboneUnavailable, match="gone"):
        await models.backbones["high"].generate(ASKED)
    assert len(backbone.requests) == 3


async def test_what_an_attempt_may_have_cost_is_told_of_the_last_one():
    attempts = iter([True, False, False])

    class Away(HashEncoder):
        async def embed(self, texts):
            raise BackboneUnavailable("gone", reached=next(attempts))

    models = ModelSet({}, Away(), ScriptedTagger())
    with pytest.raises(BackboneUnavailable) as gone:
        await GuardedModels(models, breakers_of([]), Outage(), Retries(first_s=0.0)).encoder.embed(
            ["a"]
        )
    assert gone.value.reached


async def test_a_call_that_may_be_paid_is_left_to_who_pays():
    backbone = Flaky(lambda _: "yes", failures=gone(1, reached=True))
    models, _, waits = guarded(backbone)
    with pytest.raises(BackboneUnavailable, match="gone") as lost:
        await models.backbones["high"].generate(ASKED)
    assert lost.value.again
    assert (len(backbone.requests), waits.bounds) == (1, [])
    backbone.failures = gone(1, reached=True)
    probing = replace(models, probes=True)
    assert (await probing.backbones["high"].generate(ASKED)).text == "yes"


async def test_an_error_that_would_come_again_is_not_asked_for_again():
    backbone = Flaky(lambda _: "yes", failures=[BackboneError("too long")])
    models, _, _ = guarded(backbone)
    with pytest.raises(BackboneError, match="too long"):
        await models.backbones["high"].generate(ASKED)
    assert len(backbone.requests) == 1


@dataclass
class BreaksOff(Flaky):
    """Says its first token before it fails."""

    async def generate(self, request, on_first_token=None):
        on_first_token()
        return await super().generate(request)


async def test_a_reply_that_had_begun_is_not_asked_for_again():
    backbone = BreaksOff(lambda _: "yes", failures=gone(1))
    models, breakers, _ = guarded(backbone)
    with pytest.raises(BackboneUnavailable, match="gone"):
        await models.backbones["high"].generate(ASKED)
    assert len(backbone.requests) == 1
    assert breakers.by_model["high"].state is BreakerState.CLOSED
    assert (await models.backbones["high"].generate(ASKED)).text == "yes"


async def test_an_open_breaker_ends_the_attempts():
    backbone = Flaky(lambda _: "yes", failures=gone(9))
    models, breakers, _ = guarded(backbone, limits=BreakerLimits(failures=2))
    with pytest.raises(BackboneUnavailable, match="gone"):
        await models.backbones["high"].generate(ASKED)
    assert len(backbone.requests) == 2
    with pytest.raises(BackboneUnavailable, match="failed 2 times in a row") as refused:
        await models.backbones["high"].generate(ASKED)
    assert not refused.value.reached
    assert len(backbone.requests) == 2
    assert breakers.refuses("high")
    # The other models are not the worse for it.
    assert (await models.encoder.embed(["a"])).shape == (1, 64)
    assert breakers.by_model[ENCODER].state is BreakerState.CLOSED


async def test_during_an_outage_calls_wait_for_its_end():
    outage = Outage()
    backbone = Flaky(lambda _: "yes")
    models, _, _ = guarded(backbone, outage)
    outage.begin()
    call = asyncio.ensure_future(models.backbones["high"].generate(ASKED))
    tags = asyncio.ensure_future(models.tagger.annotate(["a"]))
    await asyncio.sleep(0)
    assert backbone.requests == []
    outage.end()
    assert (await call).text == "yes"
    assert len(await tags) == 1


async def test_an_outage_that_lasts_is_an_error_that_is_worth_a_retry():
    models, breakers, _ = guarded(Flaky(lambda _: "yes"), outage := Outage(patience_s=0.01))
    outage.begin()
    with pytest.raises(BackboneUnavailable, match=r"were away for 0\.01 s") as away:
        await models.backbones["high"].generate(ASKED)
    assert not away.value.reached
    # It says nothing of the model.
    assert breakers.by_model["high"].state is BreakerState.CLOSED


async def cut_off(models):
    """Embeds a text for a caller whose time is over while that waits."""
    caller = Caller(deadline=time.monotonic() + 0.01)
    await within(0.02, models.bound(caller).encoder.embed(["a"]))


async def test_who_is_cut_off_during_an_outage_has_called_nobody():
    models, _, _ = guarded(Flaky(lambda _: "yes"), outage := Outage())
    outage.begin()
    with pytest.raises(DeadlineExceeded):
        await cut_off(models)


@pytest.mark.parametrize("reached", [False, True])
async def test_who_is_cut_off_before_another_attempt_pays_for_one_that_reached_its_model(reached):
    class Away(HashEncoder):
        async def embed(self, texts):
            raise BackboneUnavailable("gone", reached=reached)

    models = ModelSet({}, Away(), ScriptedTagger())
    retries = Retries(first_s=60.0, draw=lambda low, high: high)
    with pytest.raises(asyncio.TimeoutError if reached else DeadlineExceeded):
        await cut_off(GuardedModels(models, breakers_of([]), Outage(), retries))


async def test_no_time_for_another_attempt_is_no_refund_of_the_first():
    failures = iter([BackboneUnavailable("gone"), DeadlineExceeded("in line")])

    class Away(HashEncoder):
        async def embed(self, texts):
            raise next(failures)

    models = ModelSet({}, Away(), ScriptedTagger())
    with pytest.raises(asyncio.TimeoutError):
        await GuardedModels(models, breakers_of([]), Outage(), Retries(first_s=0.0)).encoder.embed(
            ["a"]
        )


async def test_guarded_models_are_what_they_guard():
    models, _, _ = guarded(ScriptedBackbone(lambda _: "yes", name="big"))
    bound = models.bound(Caller("acme"))
    assert set(bound.breakers.by_model) == {"high", ENCODER, TAGGER}
    assert bound.backbones["high"].name == "big"
    assert bound.backbones["high"].tokens.count("a b") == 2
    encoder = bound.encoder
    assert (encoder.name, encoder.dimension, encoder.tokens.count("a b")) == ("hash", 64, 2)
    assert encoder.remembered(["a"]) == bound.tagger.remembered(["a"]) == 0
    assert bound.tagger.name == "scripted-tagger"
