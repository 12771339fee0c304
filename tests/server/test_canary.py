"""Canaries: sent to what was silent or failed, and their findings kept by the breakers."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.breakers import Breaker, BreakerLimits, BreakerState
from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.gather import gather_or_cancel
from budgetmem.guarded import GuardedModels, Outage, Retries, breakers_of
from server.canary import PROBE, Canaries


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@dataclass
class Mortal(ScriptedBackbone):
    """Answers as long as it is alive, and then says that it is not; `silent` ones say nothing."""

    alive: bool = True
    silent: bool = False

    async def generate(self, request, on_first_token=None):
        if self.silent:
            self.requests.append(request)
            await asyncio.sleep(600)
        if not self.alive:
            self.requests.append(request)
            raise BackboneUnavailable("Stub process is not healthy")
        return await super().generate(request, on_first_token)


@dataclass
class CountingEncoder(HashEncoder):
    """Counts its calls."""

    calls: int = 0

    async def embed(self, texts):
        self.calls += 1
        return await super().embed(texts)


@dataclass
class House:
    clock: Clock = field(default_factory=Clock)
    high: Mortal = field(default_factory=lambda: Mortal(lambda _: "", name="high"))
    low: Mortal = field(default_factory=lambda: Mortal(lambda _: "", name="low"))
    encoder: CountingEncoder = field(default_factory=CountingEncoder)
    failures: int = 1
    given_up: list[str] = field(default_factory=list)

    def __post_init__(self):
        models = ModelSet({"low": self.low, "high": self.high}, self.encoder, ScriptedTagger())
        limits = BreakerLimits(self.failures, rest_s=5.0)
        self.breakers = breakers_of(
            models.backbones, lambda name: Breaker(name, limits, self.clock)
        )
        guarded = GuardedModels(models, self.breakers, Outage(), Retries(attempts=1))
        self.canaries = Canaries(
            guarded, self.breakers, idle_s=30.0, patience_s=0.1, give_up=self.given_up.append
        )

    async def send_due(self, canaries=None):
        asked = canaries or self.canaries
        await gather_or_cancel([asked.send_due(model) for model in self.breakers.by_model])


@pytest.fixture
def house():
    return House()


async def test_at_the_start_every_model_is_asked(house):
    await house.canaries.send_all()
    assert house.low.requests == house.high.requests == [PROBE]
    house.high.alive = False
    with pytest.raises(BackboneUnavailable, match="not healthy"):
        await house.canaries.send_all()


async def test_a_model_that_is_silent_at_the_start_is_told(house):
    house.high.silent = True
    with pytest.raises(BackboneUnavailable, match=r"high did not answer within 0\.3 s"):
        await asyncio.wait_for(house.canaries.send_all(), 30)
    assert house.encoder.calls == 1


async def test_only_what_was_silent_is_asked(house):
    house.clock.seconds = 29.0
    await house.send_due()
    assert house.low.requests == []
    with house.breakers.by_model["high"].call():
        pass
    house.clock.seconds = 31.0
    await house.send_due()
    assert house.low.requests == [PROBE]
    assert house.high.requests == []


async def test_a_dead_model_is_found_and_its_return_too(house):
    house.high.alive = False
    house.clock.seconds = 30.0
    await house.send_due()
    assert house.breakers.states()["high"] is BreakerState.OPEN
    assert house.breakers.states()["low"] is BreakerState.CLOSED
    # Not before it has rested.
    await house.send_due()
    assert len(house.high.requests) == 1
    house.high.alive = True
    house.clock.seconds = 35.0
    await house.send_due()
    assert house.breakers.states()["high"] is BreakerState.CLOSED


async def test_whether_a_model_is_back_is_found_out_by_a_canary_and_at_no_callers_cost(house):
    """A caller without a deadline would hold the breaker half-open for as long as it waits."""
    house.high.alive = False
    house.clock.seconds = 30.0
    await house.send_due()
    house.high.silent = True
    house.clock.seconds = 36.0
    for _ in range(2):
        with pytest.raises(BackboneUnavailable, match="failed 1 times in a row"):
            await asyncio.wait_for(house.canaries.models.backbones["high"].generate(PROBE), 30)
    assert len(house.high.requests) == 1
    house.high.alive, house.high.silent = True, False
    await house.send_due()
    assert house.breakers.states()["high"] is BreakerState.CLOSED


async def test_a_call_that_costs_money_is_not_made_for_silence_alone(house):
    canaries = replace(house.canaries, billed=frozenset({"high"}))
    house.clock.seconds = 31.0
    await house.send_due(canaries)
    assert (house.low.requests, house.high.requests) == ([PROBE], [])
    with pytest.raises(BackboneUnavailable), house.breakers.by_model["high"].call():
        raise BackboneUnavailable("gone")
    house.clock.seconds = 40.0
    await house.send_due(canaries)
    assert house.high.requests == [PROBE]


async def test_a_model_that_refuses_is_told_and_ends_nothing(house, caplog):
    async def refuse(request, on_first_token=None):
        raise BackboneError("401 Unauthorized")

    house.high.generate = refuse
    house.clock.seconds = 31.0
    await house.send_due()
    assert house.low.requests == [PROBE]
    assert "401 Unauthorized" in caplog.text


async def test_a_canary_that_comes_back_as_garbage_has_failed(house, caplog):
    """A caller's call that fails so counts for nothing; a canary asks nothing wrong."""

    async def garble(request, on_first_token=None):
        raise BackboneError("high sent what cannot be read")

    house.high.generate = garble
    house.clock.seconds = 30.0
    await house.send_due()
    assert "cannot be read" in caplog.text
    assert house.breakers.states()["high"] is BreakerState.OPEN
    assert house.breakers.states()["low"] is BreakerState.CLOSED
    # The next one is sent after a rest, and leaves it no better.
    house.clock.seconds = 35.0
    await house.send_due()
    assert house.breakers.states()["high"] is BreakerState.OPEN
    del house.high.generate
    house.clock.seconds = 40.0
    await house.send_due()
    assert house.breakers.states()["high"] is BreakerState.CLOSED


async def test_a_silent_model_keeps_no_other_from_being_asked_and_has_failed(house, caplog):
    house.low.silent = True
    house.clock.seconds = 31.0
    await asyncio.wait_for(house.send_due(), 30)
    assert (house.high.requests, house.encoder.calls) == ([PROBE], 1)
    assert house.breakers.states()["low"] is BreakerState.OPEN
    assert house.breakers.states()["high"] is BreakerState.CLOSED
    assert "low answered nobody for 31 s" in caplog.text
    house.low.silent = False
    house.clock.seconds = 36.0
    await house.send_due()
    assert house.breakers.states()["low"] is BreakerState.CLOSED


async def test_a_model_that_is_away_for_good_is_given_up_too(house):
    """Triton tells of a process that is stopped as of one that died, which starts nothing anew."""
    house.high.alive = False
    await silent_rounds(house, 2)
    assert house.given_up == []
    await silent_rounds(house, 1)
    assert house.given_up == ["high"]


async def test_a_model_that_is_away_for_a_moment_is_not_given_up(house):
    house.high.alive = False
    high = house.breakers.by_model["high"]
    for _ in range(5):
        house.clock.seconds += 31.0
        high.heard()
        await house.send_due()
    assert len(house.high.requests) == 5
    assert house.given_up == []


async def test_garbage_is_no_reason_to_start_triton_anew(house):
    async def garble(request, on_first_token=None):
        raise BackboneError("high sent what cannot be read")

    house.high.generate = garble
    await silent_rounds(house, 5)
    assert house.given_up == []
    assert house.breakers.states()["high"] is BreakerState.OPEN


@pytest.mark.parametrize("sign", ["success", "first token", "refusal", "restart"])
async def test_a_busy_model_answers_others_and_has_not_failed(house, sign):
    """Its queue is longer than a canary is waited for, but it moves."""
    house.high.silent = True
    house.clock.seconds = 31.0
    canary = asyncio.ensure_future(house.canaries.send_due("high"))
    while not house.high.requests:
        await asyncio.sleep(0)
    breaker = house.breakers.by_model["high"]
    if sign == "restart":
        breaker.reset()
    elif sign == "first token":
        breaker.heard()
    elif sign == "success":
        with breaker.call():
            pass
    else:
        with pytest.raises(BackboneError), breaker.call():
            raise BackboneError("too long")
    await asyncio.wait_for(canary, 30)
    assert breaker.state is BreakerState.CLOSED


async def test_first_tokens_are_signs_of_life(house):
    class Dawdler(Mortal):
        async def generate(self, request, on_first_token=None):
            on_first_token()
            await asyncio.sleep(600)

    told = []
    house.high.generate = Dawdler(lambda _: "").generate
    house.clock.seconds = 31.0
    high = house.canaries.models.backbones["high"]
    call = asyncio.ensure_future(high.generate(PROBE, lambda: told.append("first")))
    while not told:
        await asyncio.sleep(0)
    assert house.breakers.by_model["high"].silence_s == 0
    assert house.breakers.by_model["high"].idle_s == 31.0
    call.cancel()


async def silent_rounds(house, count):
    for _ in range(count):
        house.clock.seconds += 31.0
        await asyncio.wait_for(house.send_due(), 30)


async def test_a_model_that_stays_silent_is_given_up_and_again_if_that_does_not_help():
    house = House(failures=5)
    house.high.silent = True
    await silent_rounds(house, 2)
    assert house.given_up == []
    await silent_rounds(house, 1)
    assert house.given_up == ["high"]
    await silent_rounds(house, 3)
    assert house.given_up == ["high", "high"]


async def test_silences_count_in_a_row_only():
    house = House(failures=5)
    for silent in (True, True, False) * 3:
        house.high.silent = silent
        await silent_rounds(house, 1)
    assert house.given_up == []


async def test_somebody_elses_server_is_not_given_up(house):
    canaries = replace(house.canaries, billed=frozenset({"high"}))
    with pytest.raises(BackboneUnavailable), house.breakers.by_model["high"].call():
        raise BackboneUnavailable("gone")
    house.high.silent = True
    for _ in range(5):
        house.clock.seconds += 31.0
        await asyncio.wait_for(canaries.send_due("high"), 30)
    assert len(house.high.requests) == 5
    assert house.given_up == []


async def test_they_go_on_until_they_are_cancelled(house):
    """Each of the four by itself: one that is silent is waited for by no other."""
    waited = []

    async def sleep(seconds):
        waited.append(seconds)
        house.clock.seconds += 10.0
        if len(house.low.requests) == 2:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    house.high.silent = True
    canaries = replace(house.canaries, every_s=5.0, patience_s=600.0, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(canaries.run(), 30)
    assert set(waited) == {5.0}
    assert len(house.high.requests) == 1
    assert house.encoder.calls >= 1
