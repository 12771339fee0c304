"""Pages in browsers: which may call, and under which names."""

from __future__ import annotations

import pytest

from budgetmem.errors import ConfigError
from server.http.app import Access
from server.http.options import HttpOptions
from tests.server.http.house import open_house

pytestmark = pytest.mark.timeout(600)

SITE = "https://app.example.com"
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,grpc-timeout",
}


@pytest.fixture(scope="module")
def shared():
    with open_house(Access([SITE])) as opened:
        yield opened


@pytest.fixture(scope="module")
def local():
    with open_house(Access(local_names_only=True)) as opened:
        yield opened


def preflight(house, origin):
    headers = PREFLIGHT | {"origin": origin}
    return house.http.options("/v1/histories/h:extract", headers=headers)


def test_a_named_site_may_call(shared):
    asked = preflight(shared, SITE)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == SITE
    answer = shared.http.get("/v1/histories/h/turns", headers={"origin": SITE})
    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == SITE
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def test_others_may_not(shared, local):
    assert preflight(shared, "https://evil.example").status_code == 400
    assert preflight(local, SITE).status_code == 405
    for house in (shared, local):
        answer = house.http.get("/v1/info", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_names_of_this_machine(local, host):
    assert local.http.get("/v1/info", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8080", "127.0.0.1.evil.example", "[", "a@evil.example"]
)
def test_other_names_are_refused_where_nobody_is_asked_for_a_credential(local, shared, host):
    refused = local.http.get("/v1/info", headers={"host": host})
    assert refused.status_code == 403
    assert refused.json()["error"]["status"] == "PERMISSION_DENIED"
    assert shared.http.get("/v1/info", headers={"host": host}).status_code == 200


def test_every_site_may_only_where_credentials_are_asked_for():
    every = HttpOptions(http_cors_origin=["*"])
    every.check_origins(authenticates=True)
    with pytest.raises(ConfigError, match="name the origins"):
        every.check_origins(authenticates=False)
    HttpOptions(http_cors_origin=[SITE]).check_origins(authenticates=False)


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "https://[::1]:8443", "http://127.0.0.1", "https://xn--bcher-kva.de"],
)
def test_origins_as_browsers_send_them(origin):
    HttpOptions(http_cors_origin=[SITE, origin]).check_origins(authenticates=False)


@pytest.mark.parametrize(
    "origin",
    [
        f"{SITE}/",
        f"{SITE}/app",
        f"{SITE}:443",
        "http://app.example.com:80",
        "https://App.example.com",
        "https://bücher.de",
        "https://a@app.example.com",
        "https://*.example.com",
        "app.example.com",
        "null",
        "",
    ],
)
def test_what_no_browser_sends_is_refused_instead_of_never_let_in(origin):
    given = HttpOptions(http_cors_origin=[SITE, origin])
    with pytest.raises(ConfigError, match=r"is no origin .* such as https://example\.com"):
        given.check_origins(authenticates=True)
