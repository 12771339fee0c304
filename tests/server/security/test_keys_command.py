from __future__ import annotations

import json
import os
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from budgetmem import cli
from budgetmem.errors import ConfigError, InvalidInput, NotFound
from server.security.api_keys import ApiKeys
from server.security.keys_command import app
from server.security.principal import Scope


@pytest.fixture
def run(tmp_path):
    """Runs `budgetmem keys ARGUMENTS...` on a folder of data of its own."""

    def invoke(*arguments, fails=None):
        environment = {"BUDGETMEM_DATA_DIR": str(tmp_path)}
        result = CliRunner(env=environment).invoke(app, list(arguments))
        if fails is not None:
            assert isinstance(result.exception, fails), result.output
            return str(result.exception)
        assert result.exit_code == 0, result.output
        return result

    return invoke


def listed(run):
    return json.loads(run("list", "--json").stdout)


async def who(tmp_path, key):
    return await ApiKeys(tmp_path / "keys.json").authenticate(key)


async def test_a_key_is_made_shown_once_and_works(run, tmp_path):
    made = run("create", "--tenant", "acme", "--note", "dashboard")
    key = made.stdout.strip()
    assert "not shown again" in made.stderr
    principal = await who(tmp_path, key)
    assert (principal.tenant, principal.scopes) == ("acme", {Scope.READ, Scope.WRITE})
    [shown] = listed(run)
    assert (shown["tenant"], shown["note"], shown["state"]) == ("acme", "dashboard", "active")
    assert "sha256" not in shown
    assert key not in run("list").stdout
    assert run("list").stdout.splitlines()[1].split()[1:5] == ["acme", "read", "write", "active"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_lists_and_revokes_keys_of_the_servers_user(run, tmp_path):
    run("create", "--tenant", "acme")
    os.chown(tmp_path / "keys.json", 10001, -1)
    [shown] = listed(run)
    run("revoke", shown["id"])
    assert listed(run)[0]["state"] == "revoked"


async def test_scopes_and_days(run, tmp_path):
    made = run(
        *("create", "--tenant", "acme", "--scope", "read", "--scope", "admin"),
        *("--days", "30", "--json"),
    )
    shown = json.loads(made.stdout)
    assert (await who(tmp_path, shown["key"])).scopes == {Scope.READ, Scope.ADMIN}
    lives = datetime.fromisoformat(shown["expires"]) - datetime.fromisoformat(shown["created"])
    assert lives == timedelta(days=30)


async def test_revoking(run, tmp_path):
    key = run("create", "--tenant", "acme").stdout.strip()
    other = run("create", "--tenant", "acme").stdout.strip()
    key_id = listed(run)[0]["id"]
    assert run("revoke", key_id).stdout == f"key {key_id} is revoked\n"
    assert await who(tmp_path, key) is None
    assert await who(tmp_path, other)
    first = listed(run)[0]["revoked"]
    assert json.loads(run("revoke", key_id, "--json").stdout)["revoked"] == first
    assert [each["state"] for each in listed(run)] == ["revoked", "active"]


def test_faults_are_told(run, tmp_path):
    assert "no key has the id 'abc'" in run("revoke", "abc", fails=NotFound)
    assert "tenant" in run("create", "--tenant", " ", fails=InvalidInput)
    assert "tenant" in run("create", "--tenant", "x" * 300, fails=InvalidInput)
    for days in ("-1", "4000000", "inf", "nan"):
        assert "--days" in run("create", "--tenant", "a", "--days", days, fails=InvalidInput)
    assert CliRunner().invoke(app, ["create", "--tenant", "a", "--scope", "root"]).exit_code == 2
    (tmp_path / "keys.json").write_text("{")
    assert "not a file of API keys" in run("list", fails=ConfigError)


def test_another_file(run, tmp_path):
    other = tmp_path / "elsewhere" / "k.json"
    run("create", "--tenant", "acme", "--keys-file", str(other))
    assert other.exists()
    assert not (tmp_path / "keys.json").exists()


def test_it_is_a_command_of_budgetmem(monkeypatch):
    entry = cli.EntryPoint("keys", "server.security.keys_command:app", cli.GROUP)
    monkeypatch.setattr(cli, "entry_points", lambda group: [entry])
    result = CliRunner().invoke(cli.app, ["keys", "--help"])
    assert result.exit_code == 0
    assert "revoke" in result.stdout
