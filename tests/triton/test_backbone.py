"""Putting a streamed reply together, without a server (tests/services has the real streams)."""

import asyncio
import math

import numpy as np
import pytest

from budgetmem import reply_bounds
from budgetmem.backbone import GenerationRequest
from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.tokens import ByteCounter
from budgetmem.triton import pulse
from budgetmem.triton.backbone import TritonBackbone
from tests.triton.fakes import FakeChannel


def delta(text, reason="None", tokens=1, logprob=-1.0):
    return {
        "text_output": np.array([text.encode()], dtype=np.object_),
        "finish_reason": np.array([reason.encode()], dtype=np.object_),
        "cumulative_logprob": np.array([logprob], dtype=np.float32),
        "num_input_tokens": np.asarray(7, dtype=np.uint32),
        "num_output_tokens": np.array([tokens], dtype=np.uint32),
    }


def backbone_on(channel, **options):
    return TritonBackbone(channel, "low", ByteCounter(), **options)


REQUEST = GenerationRequest("hello", max_tokens=8)


async def test_output_tokens_add_up_and_the_logprob_is_the_last():
    channel = FakeChannel(
        responses=(delta("a", tokens=2, logprob=-1), delta("b", "length", tokens=3, logprob=-4))
    )
    completion = await backbone_on(channel).generate(REQUEST)
    assert (completion.text, completion.finish_reason) == ("ab", "length")
    assert (completion.input_tokens, completion.output_tokens) == (7, 5)
    assert completion.cumulative_logprob == -4


@pytest.mark.parametrize("logprob", [math.nan, math.inf, -math.inf])
async def test_what_is_not_finite_is_no_logprob(logprob):
    channel = FakeChannel(responses=(delta("a", "stop", logprob=logprob),))
    assert (await backbone_on(channel).generate(REQUEST)).cumulative_logprob is None


@pytest.mark.parametrize("responses", [(), (delta("a", "abort"),)])
async def test_a_reply_without_a_proper_end_is_an_error(responses):
    with pytest.raises(BackboneError, match="low at fake:1 ended a reply with the reason"):
        await backbone_on(FakeChannel(responses=responses)).generate(REQUEST)


async def test_a_reply_that_breaks_off_is_worth_a_retry():
    with pytest.raises(BackboneUnavailable, match="low at fake:1 went away in the middle"):
        await backbone_on(FakeChannel(responses=(delta("a"),))).generate(REQUEST)


def spoiled(**outputs):
    return {**delta("a", "stop"), **outputs}


def lacking(output):
    return {name: tensor for name, tensor in delta("a", "stop").items() if name != output}


@pytest.mark.parametrize("output", delta("a"))
async def test_a_response_that_lacks_an_output_is_an_error_of_its_model(output):
    channel = FakeChannel(responses=(lacking(output),))
    with pytest.raises(BackboneError, match=f"low at fake:1 sent what cannot be read.*{output}"):
        await backbone_on(channel).generate(REQUEST)


@pytest.mark.parametrize(
    "outputs",
    [
        {"text_output": np.array([b"\xff\xfe"], dtype=np.object_)},
        {"text_output": np.array([], dtype=np.object_)},
        {"text_output": np.array([1.0])},
        {"finish_reason": np.array([None], dtype=np.object_)},
        {"num_input_tokens": np.array([b"seven"], dtype=np.object_)},
        {"num_input_tokens": np.array([], dtype=np.uint32)},
        {"num_output_tokens": np.array([math.nan])},
        {"num_output_tokens": np.array([math.inf])},
        {"num_output_tokens": np.array([-1])},
        {"cumulative_logprob": np.array([b"?"], dtype=np.object_)},
    ],
)
async def test_a_response_that_cannot_be_read_is_an_error_of_its_model(outputs):
    channel = FakeChannel(responses=(delta("a"), spoiled(**outputs)))
    with pytest.raises(BackboneError, match="low at fake:1 sent what cannot be read"):
        await backbone_on(channel).generate(REQUEST)


class DeadAfterFirst(FakeChannel):
    """The first request hangs, all later ones are refused: a model whose process died."""

    async def stream(self, model, inputs, outputs):
        self.calls.append(inputs)
        if len(self.calls) > 1:
            raise BackboneUnavailable("dead")
        yield delta("a")
        await asyncio.sleep(600)


class AliveButSlow(FakeChannel):
    """The first request answers late, all others at once."""

    async def stream(self, model, inputs, outputs):
        self.calls.append(inputs)
        if len(self.calls) == 1:
            await asyncio.sleep(0.3)
        yield delta("a", "stop")


async def test_a_silent_request_to_a_dead_model_fails():
    channel = DeadAfterFirst()
    with pytest.raises(BackboneUnavailable, match="dead"):
        await asyncio.wait_for(backbone_on(channel, patience_s=0.05).generate(REQUEST), 5)


class Loses(FakeChannel):
    """Answers probes, and nothing else ever."""

    async def stream(self, model, inputs, outputs):
        self.calls.append(inputs)
        if len(self.calls) == 1:
            yield delta("a")
            await asyncio.sleep(600)
        yield delta("a", "stop")


class Hangs(FakeChannel):
    """Answers nothing ever, as a process that was stopped."""

    async def stream(self, model, inputs, outputs):
        self.calls.append(inputs)
        await asyncio.sleep(600)
        yield delta("a", "stop")


@pytest.mark.parametrize("channel", [Loses(), Hangs()])
async def test_a_request_is_not_waited_for_for_ever(channel, monkeypatch):
    monkeypatch.setattr(pulse, "PROBE_TIMEOUT_S", 0.05)
    backbone = backbone_on(channel, patience_s=0.05, longest_s=0.2)
    with pytest.raises(BackboneUnavailable, match=r"low at fake:1 said nothing for 0\.2 s"):
        await asyncio.wait_for(backbone.generate(REQUEST), 30)


async def test_a_silent_request_to_a_living_model_goes_on():
    channel = AliveButSlow()
    completion = await backbone_on(channel, patience_s=0.05).generate(REQUEST)
    assert completion.text == "a"
    assert len(channel.calls) > 1


class Talks(FakeChannel):
    """Sends the same response for ever, or until it is told to stop."""

    stopped = False

    async def stream(self, model, inputs, outputs):
        try:
            while True:
                self.calls.append(inputs)
                yield self.responses[0]
        finally:
            self.stopped = True


@pytest.mark.parametrize(
    "response", [delta("a"), delta("a" * 1000, tokens=0), delta("", tokens=0), {}]
)
async def test_a_model_that_never_stops_is_an_error_and_is_told_to_stop(response, monkeypatch):
    monkeypatch.setattr(reply_bounds, "MOST_PARTS", 2000)
    channel = Talks(responses=(response,))
    with pytest.raises(BackboneError, match="low at fake:1 does not stop") as caught:
        await asyncio.wait_for(backbone_on(channel).generate(REQUEST), 30)
    assert not isinstance(caught.value, BackboneUnavailable)
    assert channel.stopped
    assert len(channel.calls) <= 2001


async def test_a_reply_of_somewhat_more_than_was_asked_for_is_one():
    channel = FakeChannel(responses=(*[delta(" " * 128)] * 20, delta("", "length", tokens=0)))
    completion = await backbone_on(channel).generate(REQUEST)
    assert (len(completion.text), completion.output_tokens) == (20 * 128, 20)
