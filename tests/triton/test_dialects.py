"""The contract of TensorRT-LLM's `ensemble`, on a fake channel: it was not run on a GPU."""

import json

import numpy as np
import pytest

from budgetmem.backbone import GenerationRequest
from budgetmem.config import load_profile
from budgetmem.errors import BackboneError
from budgetmem.tokens import ByteCounter
from budgetmem.triton import connect
from budgetmem.triton.backbone import TritonBackbone
from budgetmem.triton.channel import ModelContract
from budgetmem.triton.dialects import TENSORRT_LLM
from tests.triton.fakes import FakeChannel
from tests.triton.test_models import CONTRACTS

SCHEMA = {"type": "object", "properties": {"keep": {"type": "array"}}}
REQUEST = GenerationRequest("hello", max_tokens=3)


def delta(text, tokens=1, logprob=-1.0):
    return {
        "text_output": np.array([[text.encode()]], dtype=np.object_),
        "cum_log_probs": np.array([[logprob]], dtype=np.float32),
        "num_input_tokens": np.array([[7]], dtype=np.int32),
        "num_output_tokens": np.array([[tokens]], dtype=np.int32),
    }


def backbone_on(*responses):
    channel = FakeChannel(responses=responses)
    return TritonBackbone(channel, "ensemble", ByteCounter(), dialect=TENSORRT_LLM), channel


async def test_what_is_sent_has_the_ensembles_names_types_and_batch_axis():
    backbone, channel = backbone_on(delta("a"))
    await backbone.generate(GenerationRequest("hello", 3, SCHEMA, stop=("END", "STOP")))
    [sent] = channel.calls
    told = {name: (tensor.dtype.name, tensor.shape) for name, tensor in sent.items()}
    flag = ("bool", (1, 1))
    assert told == {
        "text_input": ("object", (1, 1)),
        "max_tokens": ("int32", (1, 1)),
        "temperature": ("float32", (1, 1)),
        "top_k": ("int32", (1, 1)),
        "stop_words": ("object", (1, 2)),
        "guided_decoding_guide_type": ("object", (1, 1)),
        "guided_decoding_guide": ("object", (1, 1)),
        "stream": flag,
        "exclude_input_in_output": flag,
        "return_log_probs": flag,
        "return_num_input_tokens": flag,
        "return_num_output_tokens": flag,
    }
    assert sent["guided_decoding_guide_type"][0, 0] == b"json_schema"
    assert json.loads(sent["guided_decoding_guide"][0, 0]) == SCHEMA
    assert set(sent) <= TENSORRT_LLM.inputs


@pytest.mark.parametrize(("temperature", "sent"), [(0.0, (1.0, 1)), (0.5, (0.5, 0))])
async def test_no_temperature_is_the_most_probable_token(temperature, sent):
    backbone, channel = backbone_on(delta("a"))
    await backbone.generate(GenerationRequest("hello", 3, temperature=temperature))
    [call] = channel.calls
    assert (call["temperature"].item(), call["top_k"].item()) == sent
    assert "stop_words" not in call
    assert "guided_decoding_guide" not in call


async def test_pieces_and_their_tokens_add_up_and_the_logprob_is_the_last():
    backbone, _ = backbone_on(delta("a", 1, -1.0), delta("b", 1, -2.5), {})
    completion = await backbone.generate(REQUEST)
    assert (completion.text, completion.input_tokens, completion.output_tokens) == ("ab", 7, 2)
    assert completion.cumulative_logprob == -2.5


@pytest.mark.parametrize(("tokens", "reason"), [(0, "stop"), (2, "stop"), (3, "length")])
async def test_a_reply_of_the_limit_is_cut_off_as_far_as_can_be_known(tokens, reason):
    backbone, _ = backbone_on(delta("a", tokens))
    assert (await backbone.generate(REQUEST)).finish_reason == reason


async def test_a_reply_without_a_response_is_an_error():
    with pytest.raises(BackboneError, match="ensemble at fake:1 ended a reply"):
        await backbone_on()[0].generate(REQUEST)


async def test_a_missing_logprob_is_none():
    response = {name: each for name, each in delta("a").items() if name != "cum_log_probs"}
    assert (await backbone_on(response)[0].generate(REQUEST)).cumulative_logprob is None


async def test_the_engine_of_a_profile_chooses_the_contract(monkeypatch, tokenizer_file):
    found = ModelContract(TENSORRT_LLM.inputs, TENSORRT_LLM.outputs, 128, True)
    channel = FakeChannel(responses=(delta("a"),), contracts={**CONTRACTS, "backbone_low": found})
    monkeypatch.setattr("budgetmem.triton.models.Channel", lambda url: channel)
    tiny = load_profile("tiny")
    changed = tiny.backbones["all"].model_copy(update={"engine": "tensorrtllm"})
    profile = tiny.model_copy(update={"backbones": {"all": changed}})
    models = await connect(profile, "fake:1", lambda name: tokenizer_file.parent)
    assert (await models.backbones["all"].generate(REQUEST)).text == "a"
    assert channel.calls[0]["text_input"].shape == (1, 1)
