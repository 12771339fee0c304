from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import server.__main__ as command
from budgetmem.errors import AssetError, ServerUnavailable
from budgetmem.info import Limits
from server import serving
from server.connections import CONNECTIONS
from server.http.options import HttpOptions
from server.observability.options import ObservabilityOptions
from server.room import CallLimits, Share
from server.security.options import SecurityOptions


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(command.serve)
    return app


@pytest.fixture
def served(monkeypatch):
    options = []

    async def run(given, announce):
        options.append(given)
        announce("ready on 127.0.0.1:1 in 0.0 s")

    monkeypatch.setattr(serving, "run", run)
    return options


def test_options_reach_the_server(app, served, tmp_path):
    arguments = ["--profile", "tiny", "--port", "0", "--data-dir", str(tmp_path), "--drain", "3"]
    result = CliRunner().invoke(app, [*arguments, "--triton-url", "gpu:8001", "--json-logs"])
    assert (result.exit_code, result.stdout) == (0, "ready on 127.0.0.1:1 in 0.0 s\n")
    [options] = served
    assert (options.profile, options.port, options.data_dir) == ("tiny", 0, tmp_path)
    assert (options.triton_url, options.drain_s, options.show_progress) == ("gpu:8001", 3.0, False)


def test_the_store_reaches_the_server_and_its_password_no_log(app, served):
    url = "postgresql://ana:sesame@db/memory"
    assert CliRunner().invoke(app, ["--store", url]).exit_code == 0
    assert CliRunner(env={"BUDGETMEM_STORE": "elsewhere"}).invoke(app, []).exit_code == 0
    assert [options.store for options in served] == [url, "elsewhere"]
    assert "sesame" not in repr(served)


def test_routers_reach_the_server(app, served):
    folders = ["--router", "routers/a", "--router", "routers/b"]
    assert CliRunner().invoke(app, [*folders, "--sample-tiers"]).exit_code == 0
    assert CliRunner().invoke(app, ["--no-sample-tiers"]).exit_code == 0
    sampling, plain = served
    assert sampling.routers == (Path("routers/a"), Path("routers/b"))
    assert sampling.sample_tiers
    assert (plain.routers, plain.sample_tiers) == ((), False)


def test_bundled_routers_are_served_unless_told_otherwise(app, served):
    for arguments in ([], ["--no-bundled-routers"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert [options.bundled_routers for options in served] == [True, False]


def test_nothing_is_told_to_others_unless_asked(app, served, monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("BUDGETMEM_METRICS_PORT", raising=False)
    assert CliRunner().invoke(app, []).exit_code == 0
    [options] = served
    assert options.observability == ObservabilityOptions("127.0.0.1", None, None)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--metrics-port", "9464", "--otlp-endpoint", "http://otel:4317"], {}),
        (
            [],
            {
                "BUDGETMEM_METRICS_PORT": "9464",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4317",
            },
        ),
    ],
)
def test_observability_is_asked_for_by_options_or_environment(app, served, arguments, environment):
    assert CliRunner(env=environment).invoke(app, arguments).exit_code == 0
    [options] = served
    assert options.observability == ObservabilityOptions("127.0.0.1", 9464, "http://otel:4317")


def test_security_and_limits_reach_the_server(app, served, tmp_path):
    assert CliRunner().invoke(app, []).exit_code == 0
    arguments = ["--tls-cert", "c.pem", "--tls-key", "k.pem", "--jwt-key", "https://id/keys"]
    arguments += ["--jwt-issuer", "i", "--keys-file", str(tmp_path / "k.json"), "--insecure"]
    arguments += ["--auth", "--no-reflection", "--max-history-turns", "7"]
    arguments += ["--max-store-calls", "9", "--max-tenant-store-calls", "3"]
    arguments += ["--max-calls", "50", "--max-tenant-calls", "20", "--max-connections", "70"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    plain, secure = served
    assert (plain.security, plain.limits) == (SecurityOptions(), Limits())
    assert secure.limits == Limits(history_turns=7)
    assert plain.call_limits == CallLimits()
    assert secure.call_limits == CallLimits(Share(50, 20), Share(9, 3))
    assert (plain.connections, secure.connections) == (CONNECTIONS, 70)
    assert secure.security == SecurityOptions(
        auth=True,
        keys_file=tmp_path / "k.json",
        jwt_key="https://id/keys",
        jwt_issuer="i",
        tls_cert=Path("c.pem"),
        tls_key=Path("k.pem"),
        insecure=True,
        reflection=False,
    )


def test_http_is_asked_for(app, served, monkeypatch):
    monkeypatch.delenv("BUDGETMEM_HTTP_PORT", raising=False)
    assert CliRunner().invoke(app, []).exit_code == 0
    sites = ["--http-cors-origin", "https://a.example", "--http-cors-origin", "https://b.example"]
    arguments = ["--http-port", "0", "--http-host", "::1", *sites]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert CliRunner().invoke(app, ["--console"]).exit_code == 0
    off, on, page = served
    assert (off.http.port, on.http.port, page.http.port) == (None, 0, 8080)
    assert (off.http, off.http.cors_origins) == (HttpOptions(), ())
    assert (on.http.http_port, on.http.http_host) == (0, "::1")
    assert on.http.cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--log-level", "loud"]])
def test_bad_options_are_usage_errors(app, served, arguments):
    assert CliRunner().invoke(app, arguments).exit_code == 2
    assert served == []


@pytest.mark.parametrize(("error", "code"), [(AssetError("no x"), 1), (ServerUnavailable("x"), 3)])
def test_errors_are_one_line_and_an_exit_code(monkeypatch, capsys, error, code):
    def fail(function):
        raise error

    monkeypatch.setattr(command.typer, "run", fail)
    with pytest.raises(SystemExit) as left:
        command.main()
    assert left.value.code == code
    assert capsys.readouterr().err.splitlines()[0] == f"error: {error}"


def test_grpc_is_imported_when_its_own_complaints_are_silenced():
    code = "import sys, server.__main__; print('grpc' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
