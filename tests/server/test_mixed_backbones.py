"""Endpoints beside Triton's models: how they are connected, and what their spans are called."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from budgetmem import triton
from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from budgetmem.triton.channel import ServerInfo
from server import serving
from server.observability.observing import Observability
from tests.endpoints.fakes import REQUEST, backbone, ended, endpoint, said, stream, told
from tests.triton.fakes import FakeChannel

TINY = load_profile("tiny")


def mixed(**changes):
    backbones = {**TINY.backbones, "hosted": endpoint(**changes)}
    return TINY.model_copy(update={"backbones": backbones})


@pytest.fixture
def channel(monkeypatch):
    """The connection to a Triton that has the profile's models."""
    channel = FakeChannel()

    async def connect(profile, url, asset_folder):
        backbones = {key: ScriptedBackbone(lambda _: "", name=key) for key in profile.on_triton}
        server = ServerInfo("fake", "0", ())
        return triton.Models(backbones, HashEncoder(), ScriptedTagger(), server, channel)

    monkeypatch.setattr(triton, "connect", connect)
    return channel


async def test_endpoints_stand_beside_tritons_models(channel):
    async with serving.connected(mixed(), "fake:1") as (models, own):
        assert own is None
        names = {key: each.name for key, each in models.backbones.items()}
        assert names == {"all": "all", "hosted": "tiny-chat"}
    assert channel.closed


async def test_a_missing_key_is_told_before_triton_is_asked(channel, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        async with serving.connected(mixed(api_key_env="NO_SUCH_KEY"), "fake:1"):
            pass
    assert not channel.closed


async def test_spans_tell_chats_with_endpoints_from_prompts_to_triton():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    details = {"cached_tokens": 16}
    reply = (said("A"), ended(), told(prompt_tokens_details=details))
    hosted = backbone(lambda request: stream(*reply))
    found = ModelSet(
        {"all": ScriptedBackbone(lambda _: "A", name="backbone_low"), "hosted": hosted},
        HashEncoder(),
        ScriptedTagger(),
    )
    watched = Observability(tracer=provider.get_tracer("test")).models(found, {"hosted"})
    for each in watched.backbones.values():
        await each.generate(REQUEST)
    local, remote = exporter.get_finished_spans()
    assert (local.name, remote.name) == ("text_completion backbone_low", "chat tiny-chat")
    assert local.attributes["gen_ai.provider.name"] == "triton"
    assert remote.attributes["gen_ai.provider.name"] == "openai"
    assert remote.attributes["gen_ai.usage.cache_read.input_tokens"] == 16
    assert "gen_ai.usage.cache_read.input_tokens" not in local.attributes
