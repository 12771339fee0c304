import json

import pytest
import typer
from typer.testing import CliRunner

from server.doctor import checks
from server.doctor.command import doctor
from server.doctor.findings import Finding, Level

FINDINGS = [
    Finding("python", Level.OK, "Python 3.11"),
    Finding("port", Level.WARN, "taken", "take another"),
]


@pytest.fixture
def run(monkeypatch):
    asked = []

    def examine(wanted):
        asked.append(wanted)
        return findings

    findings = list(FINDINGS)
    monkeypatch.setattr(checks, "examine", examine)
    app = typer.Typer()
    app.command()(doctor)

    def invoke(*arguments, also=()):
        findings[:] = [*FINDINGS, *also]
        return CliRunner().invoke(app, arguments), asked

    return invoke


def test_each_finding_is_a_line_and_its_advice_another(run):
    result, asked = run("--profile", "tiny", "--port", "7")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "[  ok  ] python: Python 3.11",
        "[ warn ] port: taken",
        "         take another",
    ]
    assert (asked[0].profile.name, asked[0].port, asked[0].triton_url) == ("tiny", 7, None)


def test_a_failure_is_an_exit_code(run):
    result, _ = run("--json", also=[Finding("store", Level.FAIL, "no FTS5", "newer Python")])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told[-1] == {
        "check": "store",
        "level": "fail",
        "found": "no FTS5",
        "advice": "newer Python",
    }


def test_the_store_and_the_routers_are_those_of_serve(run):
    url = "postgresql://ana:sesame@db/memory"
    run("--profile", "tiny", "--store", url)
    _, asked = run("--profile", "tiny", "--no-bundled-routers")
    assert [(wanted.store, wanted.bundle) for wanted in asked] == [(url, "tiny"), (None, None)]
    assert "sesame" not in repr(asked)
