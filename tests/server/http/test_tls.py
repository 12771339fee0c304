"""HTTPS by the files that gRPC has."""

from __future__ import annotations

import ssl

import httpx
import pytest

from budgetmem.errors import ConfigError
from server.http.tls import tls_context
from server.security.watched import LOOK_EVERY_S
from tests.server.http.house import open_house
from tests.server.security.certificates import DAY, NOW, made
from tests.server.security.clocks import Clock
from tests.server.security.test_tls import AUTHORITY, NEXT, PAIR, shown_serial, write

pytestmark = pytest.mark.timeout(600)


def trusting(pair=None, folder=None):
    """What a client knows: the authority, and its own certificate if it has one."""
    context = ssl.create_default_context(cadata=AUTHORITY.cert.decode())
    if pair is not None:
        (folder / "client.pem").write_bytes(pair.cert + pair.key)
        context.load_cert_chain(folder / "client.pem")
    return context


def profile(url, context):
    with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=60) as client:
        return client.get("/v1/info").json()["profile"]


def test_a_client_that_knows_the_authority_gets_through(tmp_path):
    with open_house(tls=tls_context(write(tmp_path, PAIR))) as house:
        assert house.url.startswith("https://")
        assert profile(house.url, trusting()) == "fake"
        with pytest.raises(httpx.ConnectError):
            profile(house.url, ssl.create_default_context())
        with pytest.raises(httpx.HTTPError):
            profile(house.url.replace("https", "http"), trusting())


def test_new_connections_see_a_new_certificate(tmp_path):
    clock, files = Clock(), write(tmp_path, PAIR)
    with open_house(tls=tls_context(files, clock=clock)) as house:
        address = house.url.removeprefix("https://")
        assert shown_serial(address) == PAIR.serial
        files.cert.write_bytes(NEXT.cert)
        clock.seconds += LOOK_EVERY_S
        assert shown_serial(address) == PAIR.serial, "the key is not there yet"
        files.key.write_bytes(NEXT.key)
        clock.seconds += LOOK_EVERY_S
        assert shown_serial(address) == NEXT.serial


def test_mutual_tls_lets_in_whom_the_authority_signed(tmp_path):
    files = write(tmp_path, PAIR, AUTHORITY.cert)
    with open_house(tls=tls_context(files)) as house:
        assert profile(house.url, trusting(made("client", AUTHORITY), tmp_path)) == "fake"
        for context in (trusting(), trusting(made("client", made("other")), tmp_path)):
            with pytest.raises(httpx.HTTPError):
                profile(house.url, context)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_authorities_may_have_comments_in_any_language(tmp_path, encoding):
    comment = "# Autorité de certification\n".encode(encoding)
    other = made("other authority")
    files = write(tmp_path, PAIR, comment + other.cert + comment + AUTHORITY.cert)
    with open_house(tls=tls_context(files)) as house:
        for authority in (AUTHORITY, other):
            assert profile(house.url, trusting(made("client", authority), tmp_path)) == "fake"
        with pytest.raises(httpx.HTTPError):
            profile(house.url, trusting(made("client", made("third")), tmp_path))


def test_files_that_cannot_work_are_told(tmp_path):
    with pytest.raises(ConfigError, match="expired on"):
        tls_context(write(tmp_path, PAIR), now=lambda: NOW + DAY)
