"""The door in the server's life, with a fake Triton and a fake engine."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from dataclasses import replace
from datetime import datetime, timezone

import httpx
import pytest

from budgetmem.errors import ConfigError
from server.http.options import HttpOptions
from server.security.api_keys import new_key
from server.security.key_file import change_keys
from server.security.principal import Scope
from tests.server.half_open import GREETING, crowd, some
from tests.server.test_serving import House

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def house(tmp_path, monkeypatch):
    house = House(tmp_path, monkeypatch)
    house.options = replace(house.options, http=HttpOptions(http_port=0))
    return house


async def client_of(house):
    """A client of the address that the server has told."""
    await house.address()
    [said] = [line for line in house.log if line.startswith("http on ")]
    url = said.removeprefix("http on ")
    assert url.startswith("http://127.0.0.1:")
    return httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)


async def ready(client):
    while (await client.get("/healthz")).status_code != 200:
        await asyncio.sleep(0.01)


async def test_it_listens_at_once_serves_when_loaded_and_drains_on_sigterm(house):
    life = house.start()
    async with await client_of(house) as client:
        assert (await client.get("/v1/info")).status_code == 503
        house.triton.loaded.set()
        await ready(client)
        house.pipeline.takes_s = 0.3
        call = asyncio.create_task(client.post("/v1/histories/h:extract", json={"query": "q"}))
        while not house.pipeline.requests:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await call).json()["memory"]["text"] == "Ana booked in May."
    await life
    assert house.log[-3:] == ["scheduler closed", "models closed", "triton stopped"]


async def test_connections_of_both_doors_are_bounded(house):
    house.options = replace(house.options, connections=8)
    life = house.start()
    async with await client_of(house) as client:
        port = int((await house.address()).rpartition(":")[2])
        async with crowd(port, 20, GREETING) as readers:
            assert sum([bool(await some(reader)) for reader in readers]) == 8
            assert (await client.get("/v1/info")).status_code == 503, "it is starting"
        await client.aclose()
    async with await client_of(house) as client, crowd(client.base_url.port, 8):
        with pytest.raises(httpx.TransportError):
            await client.get("/healthz")
    os.kill(os.getpid(), signal.SIGTERM)
    await life


async def test_keys_and_names_are_asked_for_as_for_grpc(house):
    key, record = new_key("acme", [Scope.READ], datetime.now(timezone.utc))
    house.triton.loaded.set()
    open_life = house.start()
    async with await client_of(house) as client:
        await ready(client)
        strange = await client.get("/v1/info", headers={"host": "evil.example"})
        assert strange.status_code == 403
    os.kill(os.getpid(), signal.SIGTERM)
    await open_life

    house.log.clear()
    house.port_file.unlink()
    change_keys(house.options.data_dir / "keys.json", lambda keys: (*keys, record))
    life = house.start()
    async with await client_of(house) as client:
        await ready(client)
        assert (await client.get("/v1/info")).status_code == 401
        known = {"authorization": f"Bearer {key}", "host": "memory.example"}
        asked = {"json": {"query": "q"}, "headers": known}
        assert (await client.post("/v1/histories/h:extract", **asked)).status_code == 200
        assert (await client.delete("/v1/tenant", headers=known)).status_code == 403
    assert house.pipeline.requests[0].tenant == "acme"
    os.kill(os.getpid(), signal.SIGTERM)
    await life


async def test_a_taken_port_is_a_config_error(house):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = replace(house.options, http=HttpOptions(http_port=port))
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port} for HTTP"):
            await house.start(options)


@pytest.mark.parametrize(
    ("http", "words"),
    [
        (HttpOptions(http_port=0, http_host="0.0.0.0"), "other machines can reach"),
        (HttpOptions(http_port=0, http_cors_origin=["*"]), "name the origins"),
    ],
)
async def test_what_others_could_use_unasked_does_not_start(house, http, words):
    with pytest.raises(ConfigError, match=words):
        await house.start(replace(house.options, http=http))
    assert not house.port_file.exists()


async def test_missing_libraries_are_named(house, monkeypatch):
    monkeypatch.setitem(sys.modules, "server.http.listening", None)
    with pytest.raises(ConfigError, match=r"pip install 'budgetmem\[http\]'"):
        await house.start()


async def test_without_the_option_there_is_no_http(house):
    house.triton.loaded.set()
    life = house.start(replace(house.options, http=HttpOptions()))
    await house.address()
    assert not [line for line in house.log if line.startswith("http")]
    os.kill(os.getpid(), signal.SIGTERM)
    await life
