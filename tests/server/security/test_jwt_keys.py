from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from budgetmem.errors import ConfigError
from server.security import jwt_keys
from server.security.jwt_keys import FRESH_S, RETRY_S, FileKeys, UrlKeys, fetcher, read_key_file
from server.security.watched import LOOK_EVERY_S
from tests.server.security.clocks import Clock

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
URL = "https://id.example.com/keys"


def public_pem(private):
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(private):
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def jwk(private, **more):
    kind = RSAAlgorithm if private is RSA else ECAlgorithm
    return {**kind.to_jwk(private.public_key(), as_dict=True), **more}


def key_set(*jwks):
    return json.dumps({"keys": jwks}).encode()


@pytest.fixture
def read(tmp_path):
    def write_and_read(content):
        path = tmp_path / "key"
        path.write_bytes(content)
        return read_key_file(path)

    return write_and_read


@pytest.mark.parametrize(
    ("content", "algorithm"),
    [
        (public_pem(RSA), "RS256"),
        (public_pem(EC), "ES256"),
        (public_pem(ec.generate_private_key(ec.SECP384R1())), "ES384"),
        (public_pem(ED), "EdDSA"),
        (b"s" * 32 + b"\n", "HS256"),
        (json.dumps(jwk(RSA, alg="PS256")).encode(), "PS256"),
        (key_set(jwk(EC, kid="a")), "ES256"),
    ],
)
def test_the_key_says_the_algorithm(read, content, algorithm):
    assert [key.algorithm_name for key in read(content)] == [algorithm]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"short", "a secret of 5 bytes can be guessed"),
        (private_pem(RSA), "not a public key"),
        (public_pem(x25519.X25519PrivateKey.generate()), "no signature is made with such a key"),
        (b"-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----", "not a public key"),
        (b'{"keys": [', "not JSON"),
        (b'{"keys": []}', "no public key"),
        (b'{"keys": 7}', "no public key"),
        (key_set({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}), "no public key"),
        (key_set(jwk(RSA, use="enc")), "no public key"),
        (key_set(jwk(RSA, alg="none")), "no public key"),
        (key_set(jwk(RSA, alg="HS256")), "no public key"),
        (key_set({"kty": "RSA", "n": "!", "e": "AQAB"}), "no public key"),
        (key_set("no key"), "no public key"),
        (key_set(RSAAlgorithm.to_jwk(RSA, as_dict=True)), "no public key"),
        (key_set(ECAlgorithm.to_jwk(EC, as_dict=True)), "no public key"),
        (json.dumps(RSAAlgorithm.to_jwk(RSA, as_dict=True)).encode(), "no public key"),
        (b'{"keys": ' + b"[" * 100_000, "not JSON"),
        (b'{"keys": "\xff"}', "not JSON"),
    ],
)
def test_what_cannot_verify_is_refused(read, content, message):
    with pytest.raises(ConfigError, match=message):
        read(content)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_key_file(tmp_path / "none")


def test_what_else_is_in_a_set_is_passed_over(read):
    keys = read(key_set({"kty": "new"}, jwk(RSA, kid="a", alg="RSA-OAEP"), jwk(EC, kid="b")))
    assert [key.key_id for key in keys] == ["b"]


@pytest.mark.parametrize("member", ["kty", "use", "alg", "kid", "n", "e"])
@pytest.mark.parametrize("value", [["RSA"], {"a": 1}, 7, True])
def test_a_malformed_key_is_passed_over(read, member, value):
    keys = read(key_set(jwk(RSA, kid="a") | {member: value}, jwk(EC, kid="b")))
    assert [key.key_id for key in keys] == ["b"]


def test_members_that_a_key_does_not_need_may_be_null(read):
    [key] = read(key_set(jwk(RSA, kid=None, crv=None, x=None, y=None)))
    assert (key.algorithm_name, key.key_id) == ("RS256", None)


@pytest.mark.parametrize("member", ["crv", "x", "y"])
@pytest.mark.parametrize("value", [["P-256"], {"a": 1}, 7, None, "\ud800"])
def test_a_malformed_key_of_a_curve_is_passed_over(read, member, value):
    keys = read(key_set(jwk(EC, kid="a") | {member: value}, jwk(RSA, kid="b")))
    assert [key.key_id for key in keys] == ["b"]


async def test_keys_are_found_by_id_alone_unless_there_is_but_one(tmp_path):
    path, clock = tmp_path / "key", Clock()
    path.write_bytes(key_set(jwk(RSA, kid="a"), jwk(EC, kid="b")))
    keys = FileKeys(path, clock)
    assert (await keys.find("b")).algorithm_name == "ES256"
    assert [await keys.find(each) for each in ("c", None)] == [None, None]
    path.write_bytes(public_pem(ED))
    clock.seconds += LOOK_EVERY_S
    assert (await keys.find("whatever")).algorithm_name == "EdDSA"
    assert (await keys.find(None)).algorithm_name == "EdDSA"


class Provider:
    """An identity provider that is asked for its keys."""

    def __init__(self, *jwks):
        self.content = key_set(*jwks)
        self.down = False
        self.asked = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def __call__(self):
        self.asked += 1
        await self.answering.wait()
        if self.down:
            raise ConfigError("it is down")
        return self.content


@pytest.fixture
def provider():
    return Provider(jwk(RSA, kid="old"))


@pytest.fixture
def clock():
    return Clock()


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_keys_of_a_url_are_fetched_once_and_again_when_they_are_old(provider, clock):
    keys = await UrlKeys.open(provider, clock)
    clock.seconds += FRESH_S - 1
    assert (await keys.find("old")).key_id == "old"
    assert provider.asked == 1
    clock.seconds += 1
    assert (await keys.find("old")).key_id == "old"
    assert provider.asked == 2


async def test_a_key_that_was_withdrawn_during_a_silence_is_no_longer_found(provider, clock):
    keys = await UrlKeys.open(provider, clock)
    provider.content = key_set(jwk(EC, kid="new"))
    clock.seconds += 100 * FRESH_S
    assert await asyncio.gather(*(keys.find("old") for _ in range(10))) == [None] * 10
    assert provider.asked == 2


async def test_known_keys_do_not_wait_while_an_unknown_one_is_looked_for(provider, clock):
    keys = await UrlKeys.open(provider, clock)
    clock.seconds += RETRY_S
    provider.answering.clear()
    unknown = asyncio.create_task(keys.find("new"))
    await settled()
    assert provider.asked == 2
    assert (await asyncio.wait_for(keys.find("old"), 5)).key_id == "old"
    provider.answering.set()
    assert await unknown is None


async def test_who_leaves_while_keys_are_fetched_ends_it_for_nobody_else(provider, clock):
    keys = await UrlKeys.open(provider, clock)
    clock.seconds += FRESH_S
    provider.answering.clear()
    callers = [asyncio.create_task(keys.find("old")) for _ in range(2)]
    await settled()
    callers[0].cancel()
    await settled()
    assert not callers[1].done()
    provider.answering.set()
    assert (await callers[1]).key_id == "old"
    assert provider.asked == 2


async def test_a_new_key_is_fetched_when_a_token_names_it(provider, clock):
    keys = await UrlKeys.open(provider, clock)
    provider.content = key_set(jwk(RSA, kid="old"), jwk(EC, kid="new"))
    clock.seconds += RETRY_S
    found = await asyncio.gather(*(keys.find("new") for _ in range(10)))
    assert [key.key_id for key in found] == ["new"] * 10
    assert provider.asked == 2


async def test_unknown_keys_do_not_make_it_fetch_again_and_again(provider, clock):
    keys = await UrlKeys.open(provider, clock)
    for number in range(100):
        assert await keys.find(f"made up {number}") is None
    assert provider.asked == 1
    clock.seconds += RETRY_S
    for number in range(100):
        assert await keys.find(f"made up {number}") is None
    assert provider.asked == 2


async def test_old_keys_go_on_while_the_provider_is_down(provider, clock, caplog):
    keys = await UrlKeys.open(provider, clock)
    provider.down = True
    clock.seconds += FRESH_S
    assert (await keys.find("old")).key_id == "old"
    assert await keys.find("new") is None
    assert (await keys.find("old")).key_id == "old"
    assert "stay in use: it is down" in caplog.text


@pytest.mark.parametrize("content", [key_set({"kty": ["RSA"]}), b'{"keys": ' + b"[" * 100_000])
async def test_old_keys_go_on_while_the_set_is_malformed(provider, clock, content, caplog):
    keys = await UrlKeys.open(provider, clock)
    provider.content = content
    clock.seconds += FRESH_S
    assert await keys.find("new") is None
    assert (await keys.find("old")).key_id == "old"
    assert "stay in use" in caplog.text


async def test_a_provider_that_is_down_at_the_start_is_told(provider):
    provider.down = True
    with pytest.raises(ConfigError, match="it is down"):
        await UrlKeys.open(provider)


@pytest.mark.parametrize("url", ["http://id.example.com/keys", "ftp://id.example.com", "https:/x"])
async def test_keys_come_by_https_alone(url):
    async with httpx.AsyncClient() as client:
        if url.startswith("https"):
            with pytest.raises(ConfigError, match="cannot fetch"):
                await fetcher(url, client)()
        else:
            with pytest.raises(ConfigError, match="only fetched by https"):
                fetcher(url, client)


async def test_a_provider_that_does_not_come_to_an_end_is_given_up(monkeypatch):
    async def answer(request):
        await asyncio.Event().wait()

    monkeypatch.setattr(jwt_keys, "FETCH_S", 0.1)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(ConfigError, match="within"):
            await asyncio.wait_for(fetcher(URL, client)(), 10)


async def test_an_answer_without_end_is_not_read_to_its_end():
    async def more():
        while True:
            yield bytes(1 << 16)

    def answer(request):
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(200, content=more())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(ConfigError, match="more than 1048576 bytes"):
            await fetcher(URL, client)()


@pytest.mark.parametrize(
    "url",
    [
        "https://[bad",
        "https://id.example.com:port/keys",
        "http://127.0.0.1:99999/keys",
        "https://xn--/keys",
        "https://id.example.com/\x00",
    ],
)
async def test_what_is_no_url_is_told(url):
    async with httpx.AsyncClient() as client:
        with pytest.raises(ConfigError, match="is not a URL of keys"):
            fetcher(url, client)


@pytest.mark.parametrize(
    ("status", "message"), [(404, "404"), (302, "302"), (500, "500"), (200, None)]
)
async def test_fetching(status, message):
    def answer(request):
        assert str(request.url) == URL
        headers = {"location": "https://elsewhere.example.com"} if status == 302 else {}
        return httpx.Response(status, content=b"keys", headers=headers)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        fetch = fetcher(URL, client)
        if message is None:
            assert await fetch() == b"keys"
        else:
            with pytest.raises(ConfigError, match=message):
                await fetch()
