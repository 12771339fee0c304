"""Who a client says it is, and to whom it does not say it."""

from __future__ import annotations

import math

import grpc
import pytest

from budgetmem.client import AsyncClient, Client, tls
from budgetmem.client.calls import call_options, insecure_options
from budgetmem.client.failures import error_of
from budgetmem.client.identity import Identity, check_private
from budgetmem.errors import (
    BudgetMemError,
    ConfigError,
    InvalidInput,
    Overloaded,
    PermissionDenied,
    Unauthenticated,
)
from budgetmem.timeouts import LONGEST_S

KEY = "bmk_0123_abcdef"


def test_headers():
    assert Identity().metadata() == ()
    assert Identity("acme").metadata() == (("budgetmem-tenant", "acme"),)
    assert Identity(None, KEY).metadata() == (("authorization", f"Bearer {KEY}"),)


def test_a_key_may_change_from_call_to_call():
    keys = iter(["one", "two"])
    identity = Identity(api_key=lambda: next(keys))
    assert [dict(identity.metadata())["authorization"] for _ in range(2)] == [
        "Bearer one",
        "Bearer two",
    ]


@pytest.mark.parametrize("key", ["", "with space", "with\nnewline", "münchen", "tab\t"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key):
    with pytest.raises(ConfigError) as caught:
        Identity(api_key=key).metadata()
    assert not key or key not in str(caught.value)


def test_a_key_is_not_shown():
    assert KEY not in repr(Identity("acme", KEY))


def test_an_unusable_tenant_is_named():
    with pytest.raises(InvalidInput, match="tenant"):
        Identity("münchen").metadata()


@pytest.mark.parametrize("server", ["memory.example.com:50051", "10.0.0.1:50051", "dns:///x:1"])
@pytest.mark.parametrize("client", [Client, AsyncClient])
async def test_a_key_never_leaves_the_machine_in_the_clear(client, server):
    with pytest.raises(ConfigError, match="use TLS") as caught:
        client(server, api_key=KEY)
    assert KEY not in str(caught.value)
    check_private(server, Identity("acme"), secure=False)
    check_private(server, Identity(api_key=KEY), secure=True)


@pytest.mark.parametrize("server", ["127.0.0.1:50051", "localhost:1", "[::1]:1", "unix:/run/s"])
def test_on_one_machine_it_may(server):
    check_private(server, Identity(api_key=KEY), secure=False)


def test_a_key_in_the_clear_goes_past_proxies():
    no_proxy = ("grpc.enable_http_proxy", 0)
    assert no_proxy in insecure_options(Identity(api_key=KEY), "budgetmem.internal:50051")
    assert no_proxy in insecure_options(Identity("acme"), "127.0.0.1:50051")
    assert no_proxy not in insecure_options(Identity("acme"), "budgetmem.internal:50051")


@pytest.mark.parametrize("timeout", [math.inf, 9.3e9])
def test_no_timeout_is_longer_than_grpc_can_tell(timeout):
    assert call_options(Identity("acme"), timeout)["timeout"] == LONGEST_S


def test_files_of_tls_are_checked(tmp_path):
    file = tmp_path / "a.pem"
    with pytest.raises(ConfigError, match="No such file"):
        tls(file)
    file.write_text("no certificate")
    with pytest.raises(ConfigError, match="not a PEM file"):
        tls(file)
    for half in ({"client_cert": file}, {"client_key": file}):
        with pytest.raises(ConfigError, match="go together"):
            tls(**half)


class Failure(grpc.RpcError):
    """A call that failed without our details, as at a proxy."""

    def __init__(self, code):
        self._code = code

    def code(self):
        return self._code

    def details(self):
        return "refused by a proxy"

    def trailing_metadata(self):
        return ()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
    ],
)
def test_a_proxys_refusal_is_the_same_error(code, error):
    found = error_of(Failure(code), "memory:1")
    assert isinstance(found, BudgetMemError)
    assert (type(found), str(found)) == (error, "refused by a proxy")
