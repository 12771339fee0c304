"""The commands against a server that asks for keys and speaks TLS."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from budgetmem import cli
from server.security.options import TlsFiles
from server.security.principal import Principal, Scope
from server.security.security import Security, guarded
from server.security.tls import server_credentials
from tests.server.fake_engine import running
from tests.server.security.certificates import made
from tests.server.security.test_gate import Known

CALLERS = Known(
    ana=Principal("acme", frozenset({Scope.READ, Scope.WRITE}), "key 1"),
    root=Principal("operations", frozenset({Scope.ADMIN}), "key 2"),
)


@pytest.fixture
def chat(tmp_path):
    file = tmp_path / "chat.jsonl"
    file.write_text(json.dumps({"id": "t1", "speaker": "Ana", "text": "hello"}))
    return str(file)


@pytest.fixture
def files(tmp_path):
    """PEM files of an authority and of a server and a client that it signed, by name."""
    authority = made("authority")
    pairs = {"server": made("server", authority), "client": made("client", authority)}
    contents = {"ca": authority.cert}
    for name, pair in pairs.items():
        contents |= {name: pair.cert, f"{name}-key": pair.key}
    found = {name: tmp_path / f"{name}.pem" for name in contents}
    for name, path in found.items():
        path.write_bytes(contents[name])
    return found


def budgetmem(*arguments, **environment):
    return CliRunner(env=environment).invoke(cli.app, list(arguments))


def test_every_remote_command_sends_the_key(chat):
    with running(security=guarded(CALLERS)) as server:
        environment = {"BUDGETMEM_SERVER": server.address, "BUDGETMEM_API_KEY": "ana"}
        for arguments in (
            ("ingest", "trip", chat),
            ("histories",),
            ("export", "trip"),
            ("extract", "trip", "When?"),
            ("answer", "trip", "When?"),
            ("info",),
            ("delete", "trip", "--yes"),
        ):
            result = budgetmem(*arguments, **environment)
            assert result.exit_code == 0, (arguments, result.output)
            refused = budgetmem(*arguments, BUDGETMEM_SERVER=server.address)
            assert refused.exit_code == 1, arguments
            assert "BUDGETMEM_API_KEY" in refused.stderr
        refused = budgetmem("router", "reload", **environment)
        assert "needs the scope 'admin'" in refused.stderr
        assert budgetmem("router", "reload", "--api-key", "root", **environment).exit_code == 0
        assert {tenant for tenant, _ in server.histories.kept} == set()
        assert {request.tenant for request in server.pipeline.requests} == {"acme"}


def test_refusals_come_with_hints():
    with running(security=guarded(CALLERS)) as server:
        environment = {"BUDGETMEM_SERVER": server.address, "BUDGETMEM_API_KEY": "ana"}
        other = budgetmem("histories", "--tenant", "globex", **environment)
        assert "leave --tenant out" in other.stderr
        denied = json.loads(budgetmem("router", "reload", "--json", **environment).stdout)
        assert denied["error"]["code"] == "PERMISSION_DENIED"
        wrong = budgetmem("info", "--json", **{**environment, "BUDGETMEM_API_KEY": "x"})
        assert json.loads(wrong.stdout)["error"]["code"] == "UNAUTHENTICATED"


def test_a_key_is_not_sent_to_another_machine_in_the_clear():
    result = budgetmem("info", "--server", "10.0.0.1:50051", "--api-key", "very-secret")
    assert result.exit_code == 1
    assert "use TLS" in result.stderr
    assert "very-secret" not in result.output


def test_tls_and_a_certificate_of_ones_own(files):
    credentials = server_credentials(TlsFiles(files["server"], files["server-key"], files["ca"]))
    with running(security=Security(credentials=credentials)) as server:
        environment = {
            "BUDGETMEM_SERVER": server.address,
            "BUDGETMEM_CA_CERT": str(files["ca"]),
            "BUDGETMEM_CLIENT_CERT": str(files["client"]),
            "BUDGETMEM_CLIENT_KEY": str(files["client-key"]),
        }
        result = budgetmem("info", **environment)
        assert result.exit_code == 0, result.output
        with_options = ("--ca-cert", str(files["ca"]), "--client-cert", str(files["client"]))
        result = budgetmem(
            *("info", "--server", server.address, *with_options),
            *("--client-key", str(files["client-key"])),
        )
        assert result.exit_code == 0, result.output
        for arguments in (("--tls",), ("--ca-cert", str(files["ca"])), ()):
            result = budgetmem("info", "--server", server.address, "--timeout", "20", *arguments)
            assert result.exit_code == 3, (arguments, result.output)
