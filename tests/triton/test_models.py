"""Connecting checks the contract of every model."""

from dataclasses import replace

import pytest

from budgetmem.backbone import Caller
from budgetmem.config import load_profile
from budgetmem.errors import BackboneError, BackboneUnavailable, ConfigError
from budgetmem.triton import connect, wait_ready
from budgetmem.triton.channel import ModelContract
from budgetmem.triton.dialects import VLLM
from server.triton_process import free_ports
from tests.triton.fakes import FakeChannel

PROFILE = load_profile("tiny")
CONTRACTS = {
    "backbone_low": ModelContract(VLLM.inputs, VLLM.outputs, 0, True),
    "encoder": ModelContract(
        frozenset({"input_ids", "attention_mask", "token_type_ids"}),
        frozenset({"sentence_embedding"}),
        64,
        False,
    ),
    "tagger": ModelContract(frozenset({"text"}), frozenset({"annotations"}), 0, False),
}


@pytest.fixture
def channel(monkeypatch):
    channel = FakeChannel(contracts=dict(CONTRACTS))
    monkeypatch.setattr("budgetmem.triton.models.Channel", lambda url: channel)
    return channel


@pytest.fixture
def assets(tokenizer_file):
    return lambda name: tokenizer_file.parent


async def test_the_models_of_a_profile(channel, assets):
    models = await connect(PROFILE, "fake:1", assets)
    assert {key: each.name for key, each in models.backbones.items()} == {"all": "backbone_low"}
    assert (models.encoder.name, models.encoder.dimension) == ("minilm-l6-v2", 384)
    assert models.tagger.name == "en-core-web-sm"
    assert models.backbones["all"].tokens.count("a b") == 4
    assert models.bound(Caller("acme", "filter")) is models
    await models.close()
    assert channel.closed


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ("backbone_low", {"inputs": frozenset({"text_input"})}, "lacks the tensors exclude_input"),
        ("backbone_low", {"decoupled": False}, "not a decoupled model"),
        ("encoder", {"outputs": frozenset({"last_hidden_state"})}, "sentence_embedding"),
        ("tagger", {"inputs": frozenset({"texts"})}, "lacks the tensors text:"),
    ],
)
async def test_a_model_of_another_kind_is_refused(channel, assets, model, change, message):
    channel.contracts[model] = replace(CONTRACTS[model], **change)
    with pytest.raises(ConfigError, match=f"{model} at fake:1.*{message}|{message}"):
        await connect(PROFILE, "fake:1", assets)
    assert channel.closed


async def test_a_missing_model_is_an_error_and_the_channel_is_closed(channel, assets):
    del channel.contracts["tagger"]
    with pytest.raises(BackboneError, match="tagger"):
        await connect(PROFILE, "fake:1", assets)
    assert channel.closed


async def test_no_server_is_unavailable_and_says_what_to_do(assets):
    [port] = free_ports(1)
    with pytest.raises(BackboneUnavailable, match=f"127.0.0.1:{port}.*check that Triton runs"):
        await connect(PROFILE, f"127.0.0.1:{port}", assets)


async def test_waiting_for_no_server_ends_in_time():
    [port] = free_ports(1)
    with pytest.raises(BackboneUnavailable, match=r"not ready at .* after 0.3 s: encoder, tagger"):
        await wait_ready(f"127.0.0.1:{port}", ["encoder", "tagger"], timeout_s=0.3)
