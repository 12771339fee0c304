"""From a profile to its endpoints: keys, tokenizers, and connections that are what they seem."""

import asyncio
import contextlib
import json
import ssl

import httpx
import pytest

from budgetmem.backbone import GenerationRequest
from budgetmem.config import Profile, load_profile
from budgetmem.endpoints import EndpointBackbone, connected
from budgetmem.endpoints.connecting import client_of
from budgetmem.errors import AssetError, BackboneError, BackboneUnavailable, ConfigError
from budgetmem.tokens import ByteCounter
from tests.endpoints.fakes import KEY, REQUEST, Script, ended, endpoint, said, told
from tests.server.security.certificates import made

TINY = load_profile("tiny")


def mixed(**changes) -> Profile:
    """`tiny` with an endpoint beside its Triton model."""
    changes = {"base_url": "https://llm.example/v1", **changes}
    return TINY.model_copy(update={"backbones": {**TINY.backbones, "hosted": endpoint(**changes)}})


async def test_only_endpoints_are_connected_and_nothing_is_sent():
    script = Script()
    async with connected(mixed(), {}, httpx.MockTransport(script)) as found:
        assert list(found) == ["hosted"]
        assert found["hosted"].name == "tiny-chat"
    assert not script.requests


async def test_the_key_comes_from_the_variable_that_the_profile_names():
    script = Script()
    profile = mixed(api_key_env="LLM_KEY")
    async with connected(profile, {"LLM_KEY": f" {KEY}\n"}, httpx.MockTransport(script)) as found:
        await found["hosted"].generate(REQUEST)
    assert script.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "environment", [{}, {"LLM_KEY": " "}, {"LLM_KEY": "a\nb"}, {"LLM_KEY": "ä"}]
)
async def test_a_key_that_cannot_be_is_named_by_its_variable_alone(environment):
    with pytest.raises(ConfigError, match=r"backbone 'hosted'.*LLM_KEY") as caught:
        async with connected(mixed(api_key_env="LLM_KEY"), environment):
            pass
    assert "a\nb" not in str(caught.value)


async def test_without_a_tokenizer_prompts_are_counted_in_bytes():
    async with connected(mixed(template_tokens=10), {}) as found:
        assert found["hosted"].tokens.count("año 東京") == ByteCounter().count("año 東京") + 10


async def test_a_tokenizer_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(AssetError, match=r"no-such.json"):
        async with connected(mixed(tokenizer=str(tmp_path / "no-such.json")), {}):
            pass


class Endpoint:
    """A real HTTP server on this machine that says one word, and then, if it is to hang or to talk,
    waits to be let go, or talks until then."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(length))["messages"][0]["content"]
                await self._answer(writer, hang="hang" in asked or "talk" in asked)
                while "talk" in asked:
                    writer.write(b"10000\r\n" + b"x" * 2**16 + b"\r\n")
                    await writer.drain()
                if "hang" in asked:
                    await reader.read()
                    break
        self.closed.set()
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, *, hang: bool) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        writer.write(head + b"transfer-encoding: chunked\r\n\r\n")
        chunks = [said("A")] if hang else [said("A"), ended(), told()]
        for each in chunks:
            event = f"data: {json.dumps(each)}\n\n".encode()
            writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        writer.write(b"" if hang else b"0\r\n\r\n")
        await writer.drain()


@pytest.fixture
async def server():
    """An Endpoint, and a backbone that asks it."""
    endpoint_ = Endpoint()
    listening = await asyncio.start_server(endpoint_.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    profile = endpoint(base_url=f"http://127.0.0.1:{port}/v1", silence_s=60)
    async with listening, client_of(profile, "") as client:
        yield endpoint_, EndpointBackbone(profile, client, ByteCounter())


async def test_cancelling_closes_the_connection_after_the_first_token(server):
    endpoint_, model = server
    first = asyncio.Event()
    task = asyncio.create_task(model.generate(GenerationRequest("hang", 8), first.set))
    await asyncio.wait_for(first.wait(), 30)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(endpoint_.closed.wait(), 30)


async def test_a_reply_that_does_not_stop_closes_the_connection(server):
    endpoint_, model = server
    with pytest.raises(BackboneError, match="an event of more than"):
        await asyncio.wait_for(model.generate(GenerationRequest("talk", 8)), 30)
    await asyncio.wait_for(endpoint_.closed.wait(), 30)


async def test_a_finished_reply_leaves_its_connection_to_the_next(server):
    endpoint_, model = server
    for _ in range(3):
        assert (await model.generate(REQUEST)).text == "A"
    assert endpoint_.connections == 1


async def test_silence_is_taken_for_death(server):
    endpoint_, model = server
    profile = model._profile.model_copy(update={"silence_s": 0.2})
    async with client_of(profile, "") as client:
        hasty = EndpointBackbone(profile, client, ByteCounter())
        with pytest.raises(BackboneUnavailable, match="silent for too long"):
            await hasty.generate(GenerationRequest("hang", 8))
    await asyncio.wait_for(endpoint_.closed.wait(), 30)


async def test_nobody_there_is_unavailable():
    profile = endpoint(base_url="http://127.0.0.1:9/v1")
    async with client_of(profile, "") as client:
        with pytest.raises(BackboneUnavailable, match="cannot be reached"):
            await EndpointBackbone(profile, client, ByteCounter()).generate(REQUEST)


@pytest.fixture
async def proxy(monkeypatch):
    """The first lines of what comes to the proxy that the environment names."""
    lines = []

    async def refuse(reader, writer):
        lines.append(await reader.readline())
        writer.close()

    listening = await asyncio.start_server(refuse, "127.0.0.1", 0)
    monkeypatch.setenv("no_proxy", "")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    async with listening:
        yield lines


async def test_no_proxy_sees_what_goes_in_the_clear(proxy, server):
    _, model = server
    assert (await model.generate(REQUEST)).text == "A"
    assert proxy == []


async def test_a_proxy_tunnels_tls(proxy):
    profile = endpoint(base_url="https://llm.example/v1")
    async with client_of(profile, KEY) as client:
        with pytest.raises(BackboneUnavailable):
            await EndpointBackbone(profile, client, ByteCounter()).generate(REQUEST)
    assert proxy == [b"CONNECT llm.example:443 HTTP/1.1\r\n"]


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    pair = made("127.0.0.1")
    for name, content in (("cert", pair.cert), ("key", pair.key)):
        (tmp_path / name).write_bytes(content)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    listening = await asyncio.start_server(Endpoint().serve, "127.0.0.1", 0, ssl=tls)
    profile = endpoint(base_url=f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1")
    async with listening, client_of(profile, "") as client:
        with pytest.raises(BackboneUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await EndpointBackbone(profile, client, ByteCounter()).generate(REQUEST)
