"""From options to what the doors get, and a whole server's life with them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

import httpx
import pytest

from budgetmem.errors import ConfigError
from server.security import security
from server.security.api_keys import new_key
from server.security.gate import Gate
from server.security.key_file import change_keys
from server.security.options import SecurityOptions
from server.security.principal import Scope
from server.security.security import opened
from server.security.tenants import NamedTenants, ProvenTenants
from tests.server.security.certificates import made
from tests.server.security.test_jwt_keys import EC, jwk, key_set, public_pem
from tests.server.security.test_tokens import token


@pytest.fixture
def key(tmp_path):
    key, record = new_key("acme", [Scope.READ], datetime.now(timezone.utc))
    change_keys(tmp_path / "keys.json", lambda keys: (*keys, record))
    return key


async def who(given, credential):
    [gate] = given.interceptors
    principal = await gate._caller([("authorization", f"Bearer {credential}")])
    return principal.tenant


async def test_nothing_asked_for_is_an_open_loopback(tmp_path):
    async with opened(SecurityOptions(), "127.0.0.1", tmp_path) as given:
        assert given.interceptors == ()
        assert isinstance(given.tenants, NamedTenants)
        assert (given.credentials, given.reflection) == (None, True)


async def test_keys_close_it(tmp_path, key):
    async with opened(SecurityOptions(), "127.0.0.1", tmp_path) as given:
        assert isinstance(given.interceptors[0], Gate)
        assert isinstance(given.tenants, ProvenTenants)
        assert not given.reflection
        assert await who(given, key) == "acme"


async def test_reflection_is_as_it_is_asked_for(tmp_path, key):
    for wanted in (True, False):
        async with opened(SecurityOptions(reflection=wanted), "127.0.0.1", tmp_path) as given:
            assert given.reflection == wanted
    async with opened(SecurityOptions(auth=False, reflection=False), "::1", tmp_path) as given:
        assert not given.reflection


async def test_tokens_and_keys_side_by_side(tmp_path, key):
    (tmp_path / "public.pem").write_bytes(public_pem(EC))
    options = SecurityOptions(jwt_key=str(tmp_path / "public.pem"), jwt_audience="budgetmem")
    async with opened(options, "127.0.0.1", tmp_path) as given:
        assert await who(given, key) == "acme"
        assert await who(given, token(EC, tenant="ben", aud="budgetmem")) == "ben"


async def test_keys_of_tokens_from_a_url(tmp_path, monkeypatch):
    content = key_set(jwk(EC, kid="a"))
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=content))
    real = httpx.AsyncClient
    monkeypatch.setattr(security.httpx, "AsyncClient", lambda **_: real(transport=transport))
    options = SecurityOptions(jwt_key="https://id.example.com/keys")
    async with opened(options, "127.0.0.1", tmp_path) as given:
        assert await who(given, token(EC, headers={"kid": "a"})) == "acme"


async def test_keys_of_tokens_from_this_machine_come_past_proxies(tmp_path, monkeypatch):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        content = key_set(jwk(EC, kid="a"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
        writer.close()

    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/keys"
    async with listening, opened(SecurityOptions(jwt_key=url), "127.0.0.1", tmp_path) as given:
        assert await who(given, token(EC, headers={"kid": "a"})) == "acme"


async def test_certificates_are_checked_before_anything_listens(tmp_path):
    pair, other = made("server"), made("other")
    (tmp_path / "cert.pem").write_bytes(pair.cert)
    (tmp_path / "key.pem").write_bytes(other.key)
    options = SecurityOptions(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    with pytest.raises(ConfigError, match="not the private key"):
        async with opened(options, "127.0.0.1", tmp_path):
            pass
    (tmp_path / "key.pem").write_bytes(pair.key)
    async with opened(options, "127.0.0.1", tmp_path) as given:
        assert given.credentials is not None
        assert given.reflection


async def test_a_network_is_refused_without_both(tmp_path):
    with pytest.raises(ConfigError, match="other machines"):
        async with opened(SecurityOptions(), "0.0.0.0", tmp_path):
            pass
    async with opened(SecurityOptions(insecure=True), "0.0.0.0", tmp_path) as given:
        assert given.interceptors == ()


async def test_a_malformed_file_of_keys_stops_the_start(tmp_path):
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(ConfigError, match="not a file of API keys"):
        async with opened(SecurityOptions(), "127.0.0.1", tmp_path):
            pass
