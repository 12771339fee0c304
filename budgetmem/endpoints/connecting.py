"""From a profile to its endpoints, ready to be asked."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from budgetmem.backbone import TokenCounter
from budgetmem.config import EndpointProfile, Profile
from budgetmem.endpoints.backbone import EndpointBackbone
from budgetmem.errors import ConfigError
from budgetmem.tokens import ByteCounter, FileTokens, hub_tokens

CONNECT_S = 10.0
IDLE_S = 4.0
"""How long an idle connection is kept. uvicorn, which vLLM runs on, and llama.cpp's server close
one after five seconds: a request that is sent just then meets no answer."""


@asynccontextmanager
async def connected(
    profile: Profile,
    environment: Mapping[str, str] = os.environ,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Mapping[str, EndpointBackbone]]:
    """The endpoints among a profile's backbones, by their keys, until the block ends.

    Nothing is sent yet. Raises ConfigError for a key that is not in the environment, AssetError
    for a tokenizer that is not there.
    """
    async with AsyncExitStack() as stack:
        backbones = {}
        for name, each in profile.endpoints.items():
            key = key_of(name, each, environment)
            client = await stack.enter_async_context(client_of(each, key, transport))
            backbones[name] = EndpointBackbone(each, client, _text_tokens(each), key)
        yield backbones


def key_of(name: str, profile: EndpointProfile, environment: Mapping[str, str]) -> str:
    """The key that the profile names, empty if it names none. Errors do not tell it."""
    variable = profile.api_key_env
    if variable is None:
        return ""
    key = environment.get(variable, "").strip()
    if not key:
        raise ConfigError(f"backbone {name!r}: put its key into the variable {variable}")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"backbone {name!r}: the key in {variable} holds what no key can")
    return key


def client_of(
    profile: EndpointProfile, key: str, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """A client that verifies certificates, follows no redirections, and sends the key alone.

    How many requests there are at once is the scheduler's affair. Keys and prompts that go in the
    clear go past every proxy; one that the environment names tunnels TLS, and reads nothing.
    """
    return httpx.AsyncClient(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(profile.silence_s, connect=CONNECT_S, pool=None),
        limits=httpx.Limits(
            max_connections=None,
            max_keepalive_connections=profile.credits,
            keepalive_expiry=IDLE_S,
        ),
        trust_env=urlsplit(profile.base_url).scheme == "https",
        transport=transport,
    )


def _text_tokens(profile: EndpointProfile) -> TokenCounter:
    name = profile.tokenizer
    if name is None:
        return ByteCounter()
    return FileTokens(Path(name)) if name.endswith(".json") else hub_tokens(name)
