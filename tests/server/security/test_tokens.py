from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.security.jwt_keys import FileKeys
from server.security.options import Claims
from server.security.principal import Principal, Scope
from server.security.tokens import LEEWAY_S, Tokens

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
SECRET = b"0123456789abcdef0123456789abcdef"
HOUR = 3600


def public(private):
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def verifier(tmp_path):
    def make(content=None, **claims):
        path = tmp_path / "key"
        path.write_bytes(public(EC) if content is None else content)
        return Tokens(FileKeys(path), Claims(**claims))

    return make


def claims(**more):
    usual = {"sub": "ana", "tenant": "acme", "scope": "read write", "exp": time.time() + HOUR}
    return {name: value for name, value in {**usual, **more}.items() if value is not None}


def token(key=EC, algorithm="ES256", headers=None, **more):
    return jwt.encode(claims(**more), key, algorithm, headers)


async def test_a_token_is_the_tenant_and_the_scopes_that_it_says(verifier):
    assert await verifier().authenticate(token()) == Principal(
        "acme", frozenset({Scope.READ, Scope.WRITE}), "token of 'ana'"
    )


@pytest.mark.parametrize(
    ("key", "algorithm", "content"),
    [(RSA, "RS256", public(RSA)), (SECRET, "HS256", SECRET + b"\n"), (EC, "ES256", public(EC))],
)
async def test_every_kind_of_key(verifier, key, algorithm, content):
    assert await verifier(content).authenticate(token(key, algorithm))


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("read", {Scope.READ}),
        ("openid read  admin email", {Scope.READ, Scope.ADMIN}),
        (["write", "other"], {Scope.WRITE}),
        ("", set()),
        (None, set()),
        (7, set()),
        ({"read": True}, set()),
        (["READ", {"a": 1}, "readwrite"], set()),
    ],
)
async def test_scopes(verifier, scope, granted):
    assert (await verifier().authenticate(token(scope=scope))).scopes == granted


@pytest.mark.parametrize("tenant", [None, "", "  ", 7, ["acme"], {"name": "acme"}])
async def test_without_a_tenant_it_is_nobody(verifier, tenant):
    assert await verifier().authenticate(token(tenant=tenant)) is None


async def test_claims_of_other_names(verifier):
    tokens = verifier(tenant="https://example.com/org", scope="permissions")
    made = token(**{"https://example.com/org": "ben", "permissions": ["read"]})
    principal = await tokens.authenticate(made)
    assert (principal.tenant, principal.scopes) == ("ben", {Scope.READ})
    assert await tokens.authenticate(token()) is None


@pytest.mark.parametrize(
    "change",
    [
        {"exp": None},
        {"exp": time.time() - HOUR},
        {"exp": "tomorrow"},
        {"nbf": time.time() + HOUR},
        {"iat": time.time() + HOUR},
        {"aud": "another service"},
    ],
    ids=str,
)
async def test_out_of_its_time_or_for_somebody_else_it_is_nobody(verifier, change):
    assert await verifier().authenticate(token(**change)) is None


async def test_clocks_may_differ_a_little(verifier):
    assert await verifier().authenticate(token(exp=time.time() - LEEWAY_S / 2))


@pytest.mark.parametrize(
    ("change", "let_in"),
    [
        ({"aud": "budgetmem", "iss": "https://id"}, True),
        ({"aud": ["other", "budgetmem"], "iss": "https://id"}, True),
        ({"aud": "other", "iss": "https://id"}, False),
        ({"aud": "budgetmem", "iss": "https://other"}, False),
        ({"aud": "budgetmem"}, False),
        ({"iss": "https://id"}, False),
    ],
    ids=str,
)
async def test_audience_and_issuer_are_checked_where_they_are_named(verifier, change, let_in):
    tokens = verifier(audience="budgetmem", issuer="https://id")
    assert (await tokens.authenticate(token(**change)) is not None) == let_in


def unsigned(header, payload):
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), b""]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_the_token_does_not_choose_its_algorithm(verifier):
    """Neither `none`, nor the public key as the secret of a symmetric algorithm."""
    tokens = verifier(public(RSA))
    assert await tokens.authenticate(unsigned({"alg": "none"}, claims())) is None
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=").decode()
    signature = hmac.new(public(RSA), f"{header}.{body}".encode(), hashlib.sha256).digest()
    signed = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    assert await tokens.authenticate(f"{header}.{body}.{signed}") is None
    assert await tokens.authenticate(token(RSA, "RS512")) is None
    assert await tokens.authenticate(token(RSA, "RS256"))


@pytest.mark.parametrize(
    "forged", ["", "a", "a.b", "a.b.c", "..", "a.b.c.d", "bmk_abc", "é.b.c", "{}.{}.{}"]
)
async def test_what_is_no_token_is_nobody(verifier, forged):
    assert await verifier().authenticate(forged) is None


async def test_a_changed_or_foreign_token_is_nobody(verifier):
    header, _, signature = token().split(".")
    other = token(tenant="ben").split(".")[1]
    assert await verifier().authenticate(f"{header}.{other}.{signature}") is None
    assert await verifier().authenticate(token(ec.generate_private_key(ec.SECP256R1()))) is None
    assert await verifier().authenticate(token(headers={"jwk": {"kty": "oct"}, "jku": "https://x"}))


async def test_the_log_tells_why_and_nothing_of_the_token(verifier, caplog):
    made = token(exp=time.time() - HOUR)
    with caplog.at_level(logging.DEBUG):
        await verifier().authenticate(made)
    assert "a token was refused: ExpiredSignatureError" in caplog.text
    assert not any(part in caplog.text for part in [*made.split("."), "acme", "ana"])
