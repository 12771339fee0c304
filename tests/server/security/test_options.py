from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from budgetmem.errors import ConfigError
from server.security.options import Claims, SecurityOptions, TlsFiles

TLS = {"tls_cert": Path("c.pem"), "tls_key": Path("k.pem")}


def test_by_default_nothing_is_asked_for(tmp_path):
    options = SecurityOptions()
    assert not options.authenticates(tmp_path)
    assert options.tls is None
    options.check_reach("127.0.0.1", authenticates=False)


def test_a_file_of_keys_turns_authentication_on(tmp_path):
    (tmp_path / "keys.json").touch()
    assert SecurityOptions().authenticates(tmp_path)
    assert not SecurityOptions(auth=False).authenticates(tmp_path)


@pytest.mark.parametrize(
    "options", [{"auth": True}, {"keys_file": Path("not-there.json")}, {"jwt_key": "k.pem"}]
)
def test_so_does_asking_for_it(tmp_path, options):
    assert SecurityOptions(**options).authenticates(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auth": False, "jwt_key": "k"}, "contradicts"),
        ({"auth": False, "keys_file": Path("k")}, "contradicts"),
        ({"jwt_issuer": "x"}, "--jwt-key"),
        ({"jwt_audience": "x"}, "--jwt-key"),
        ({"jwt_tenant_claim": "x"}, "--jwt-key"),
    ],
)
def test_contradictions(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        SecurityOptions(**options).authenticates(tmp_path)


@pytest.mark.parametrize("missing", ["tls_cert", "tls_key"])
def test_half_of_tls_is_refused(missing):
    with pytest.raises(ConfigError, match="--tls-cert and --tls-key"):
        _ = SecurityOptions(**{**TLS, missing: None}).tls
    with pytest.raises(ConfigError, match="--tls-cert and --tls-key"):
        _ = SecurityOptions(tls_client_ca=Path("ca.pem")).tls


def test_what_was_said_arrives():
    options = SecurityOptions(**TLS, tls_client_ca=Path("ca.pem"), jwt_key="k", jwt_issuer="i")
    assert options.tls == TlsFiles(Path("c.pem"), Path("k.pem"), Path("ca.pem"))
    assert options.claims == Claims(issuer="i")
    assert options.keys_path(Path("data")) == Path("data/keys.json")
    assert replace(options, keys_file=Path("k.json")).keys_path(Path("data")) == Path("k.json")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.com"])
@pytest.mark.parametrize(
    ("tls", "authenticates", "said"),
    [
        ({}, False, ["--jwt-key", "--tls-cert"]),
        ({}, True, ["--tls-cert"]),
        (TLS, False, ["--jwt-key"]),
        ({**TLS, "tls_client_ca": Path("ca.pem")}, False, ["--jwt-key"]),
        (TLS, True, []),
    ],
)
def test_other_machines_are_let_in_only_with_tls_and_credentials(host, tls, authenticates, said):
    options = SecurityOptions(**tls)
    if not said:
        options.check_reach(host, authenticates=authenticates)
        return
    with pytest.raises(ConfigError, match="other machines can reach") as caught:
        options.check_reach(host, authenticates=authenticates)
    message = str(caught.value)
    assert [word for word in ("--jwt-key", "--tls-cert") if word in message] == said
    assert "--insecure" in message
    replace(options, insecure=True).check_reach(host, authenticates=authenticates)
