"""Canaries: sent to what was silent or failed, and their findings kept by the breakers."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.breakers import Breaker, BreakerLimits, BreakerState
from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.guarded import GuardedModels, Outage, Retries, breakers_of
from server.canary import PROBE, Canaries


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@dataclass
class Mortal(ScriptedBackbone):
    """Answers as long as it is alive."""

    alive: bool = True

    async def generate(self, request, on_first_token=None):
        if not self.alive:
            self.requests.append(request)
            raise BackboneUnavailable("Stub process is not healthy")
        return await super().generate(request, on_first_token)


@dataclass
class House:
    clock: Clock = field(default_factory=Clock)
    high: Mortal = field(default_factory=lambda: Mortal(lambda _: "", name="high"))
    low: Mortal = field(default_factory=lambda: Mortal(lambda _: "", name="low"))

    def __post_init__(self):
        models = ModelSet({"low": self.low, "high": self.high}, HashEncoder(), ScriptedTagger())
        limits = BreakerLimits(failures=1, rest_s=5.0)
        self.breakers = breakers_of(
            models.backbones, lambda name: Breaker(name, limits, self.clock)
        )
        guarded = GuardedModels(models, self.breakers, Outage(), Retries(attempts=1))
        self.canaries = Canaries(guarded, self.breakers, idle_s=30.0)


@pytest.fixture
def house():
    return House()


async def test_at_the_start_every_model_is_asked(house):
    await house.canaries.send_all()
    assert house.low.requests == house.high.requests == [PROBE]
    house.high.alive = False
    with pytest.raises(BackboneUnavailable, match="not healthy"):
        await house.canaries.send_all()


async def test_only_what_was_silent_is_asked(house):
    house.clock.seconds = 29.0
    await house.canaries.send_due()
    assert house.low.requests == []
    with house.breakers.by_model["high"].call():
        pass
    house.clock.seconds = 31.0
    await house.canaries.send_due()
    assert house.low.requests == [PROBE]
    assert house.high.requests == []


async def test_a_dead_model_is_found_and_its_return_too(house):
    house.high.alive = False
    house.clock.seconds = 30.0
    await house.canaries.send_due()
    assert house.breakers.states()["high"] is BreakerState.OPEN
    assert house.breakers.states()["low"] is BreakerState.CLOSED
    # Not before it has rested.
    await house.canaries.send_due()
    assert len(house.high.requests) == 1
    house.high.alive = True
    house.clock.seconds = 35.0
    await house.canaries.send_due()
    assert house.breakers.states()["high"] is BreakerState.CLOSED


async def test_a_call_that_costs_money_is_not_made_for_silence_alone(house):
    canaries = replace(house.canaries, billed=frozenset({"high"}))
    house.clock.seconds = 31.0
    await canaries.send_due()
    assert (house.low.requests, house.high.requests) == ([PROBE], [])
    with pytest.raises(BackboneUnavailable), house.breakers.by_model["high"].call():
        raise BackboneUnavailable("gone")
    house.clock.seconds = 40.0
    await canaries.send_due()
    assert house.high.requests == [PROBE]


async def test_a_model_that_refuses_is_told_and_ends_nothing(house, caplog):
    async def refuse(request, on_first_token=None):
        raise BackboneError("401 Unauthorized")

    house.high.generate = refuse
    house.clock.seconds = 31.0
    await house.canaries.send_due()
    assert house.low.requests == [PROBE]
    assert "401 Unauthorized" in caplog.text


async def test_a_canary_that_comes_back_as_garbage_has_failed(house, caplog):
    """A caller's call that fails so counts for nothing; a canary asks nothing wrong."""

    async def garble(request, on_first_token=None):
        raise BackboneError("high sent what cannot be read")

    house.high.generate = garble
    house.clock.seconds = 30.0
    await house.canaries.send_due()
    assert "cannot be read" in caplog.text
    assert house.breakers.states()["high"] is BreakerState.OPEN
    assert house.breakers.states()["low"] is BreakerState.CLOSED
    # The next one is sent after a rest, and leaves it no better.
    house.clock.seconds = 35.0
    await house.canaries.send_due()
    assert house.breakers.states()["high"] is BreakerState.OPEN
    del house.high.generate
    house.clock.seconds = 40.0
    await house.canaries.send_due()
    assert house.breakers.states()["high"] is BreakerState.CLOSED


async def test_they_go_on_until_they_are_cancelled(house):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)
        house.clock.seconds += 100.0
        if len(waited) == 3:
            raise asyncio.CancelledError

    guarded = house.canaries.models
    canaries = Canaries(guarded, house.breakers, every_s=5.0, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        await canaries.run()
    assert waited == [5.0] * 3
    assert len(house.low.requests) == 2
