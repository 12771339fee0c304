"""`budgetmem router`: reload against real doors, info and check against real files."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from budgetmem import cli
from budgetmem.errors import ConfigError
from budgetmem.router_artifact import encoder_sha256
from tests.router_folders import write_router


@pytest.fixture
def run(server):
    """Runs `budgetmem router ARGUMENTS...` against the doors."""

    def invoke(*arguments):
        environment = {"BUDGETMEM_SERVER": server.address}
        return CliRunner(env=environment).invoke(cli.app, ["router", *arguments])

    return invoke


def test_reload_tells_old_and_new(run, server):
    result = run("reload")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == [
        ["strategy", "old", "router", "new", "router"],
        ["capacity", "fixed-mid", "capacity-00000001"],
    ]
    assert server.routers.asked == [""]


def test_reload_of_one_strategy_as_json(run, server):
    [router] = json.loads(run("reload", "capacity", "--json").stdout)
    assert router == {
        "strategy": "capacity",
        "old_version": "fixed-mid",
        "version": "capacity-00000001",
    }
    assert server.routers.asked == ["capacity"]


def test_a_refused_reload_fails_and_says_why(run, server):
    server.routers.failure = ConfigError("routers/capacity: no such folder")
    result = run("reload")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == "error: routers/capacity: no such folder"
    error = json.loads(run("reload", "--json").stdout)["error"]
    assert (error["code"], error["message"]) == ("CONFIG_ERROR", "routers/capacity: no such folder")


def test_reload_names_the_field_and_where_no_server_answers(run):
    result = run("reload", "best", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["field"] == "strategy"
    assert run("reload", "--server", "127.0.0.1:1").exit_code == 3


def test_help_has_examples(run):
    for command in ("info", "check", "reload"):
        assert f"budgetmem router {command}" in run(command, "--help").stdout


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "capacity"


def test_info_tells_the_card(run, folder):
    version = write_router(folder)
    shown = run("info", str(folder)).stdout
    assert version in shown
    assert "minilm-l6-v2, 384 numbers" in shown
    assert f"SHA-256 {encoder_sha256('minilm-l6-v2')}" in shown
    assert ["metrics:", "reward", "0.5"] in [line.split() for line in shown.splitlines()]
    assert json.loads(run("info", str(folder), "--json").stdout)["version"] == version


def test_info_lists_the_bundled_routers(run, tmp_path, monkeypatch):
    monkeypatch.setattr("budgetmem.bundled_routers.ROUTERS", tmp_path)
    version = write_router(tmp_path / "small" / "capacity")
    assert run("info").stdout.splitlines()[1].split()[:2] == ["small/capacity", version]
    assert json.loads(run("info", "--json").stdout) == {"small/capacity": version}
    assert version in run("info", "small/capacity").stdout
    assert run("check", "small/capacity").exit_code == 0


def test_info_says_so_if_none_is_bundled(run, tmp_path, monkeypatch):
    monkeypatch.setattr("budgetmem.bundled_routers.ROUTERS", tmp_path)
    assert "no trained router" in run("info").stdout


def test_check_of_a_sound_router(run, folder):
    version = write_router(folder)
    result = run("check", str(folder), "--profile", "small")
    assert (result.exit_code, result.stderr) == (0, "")
    assert version in result.stdout
    assert json.loads(run("check", str(folder), "--json").stdout) == {
        "version": version,
        "strategy": "capacity",
        "warning": None,
    }


def test_check_warns_of_another_profile(run, folder):
    write_router(folder, profile="gpu")
    result = run("check", str(folder), "--profile", "small")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert "gpu" in result.stderr
    assert (
        "gpu"
        in json.loads(run("check", str(folder), "--profile", "small", "--json").stdout)["warning"]
    )


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_faulty_router_fails_and_says_why(run, folder, command):
    result = run(command, str(folder))
    assert result.exit_code == 1
    assert str(folder) in result.stderr
    write_router(folder, onnx_sha256="0" * 64)
    assert json.loads(run(command, str(folder), "--json").stdout)["error"]["code"] == "CONFIG_ERROR"


def test_check_tries_the_router_out(run, folder):
    write_router(folder, fragile=True)
    assert run("info", str(folder)).exit_code == 0
    result = run("check", str(folder))
    assert result.exit_code == 1
    assert "fails on a trial: the router gave NaN" in result.stderr


def test_check_against_a_profile_of_another_encoder(run, folder):
    write_router(folder, dimension=16)
    assert run("check", str(folder)).exit_code == 0
    assert run("check", str(folder), "--profile", "small").exit_code == 1
