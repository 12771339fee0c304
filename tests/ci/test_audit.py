"""What an audit comes to: above all, that nothing looked up is not nothing found."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / ".ci" / "audit.py"


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


OURS = {"name": "budgetmem", "skip_reason": "not on PyPI"}
SOUND = {"name": "numpy", "version": "1.26.4", "vulns": []}
SKIPPED = {"name": "torch", "skip_reason": "not found"}
FAULTY = {
    "name": "old",
    "version": "1.0",
    "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}, {"id": "CVE-2", "fix_versions": []}],
}


@pytest.mark.parametrize(
    ("packages", "code", "lines"),
    [
        ([OURS, SOUND], 0, ["no known vulnerability in 1 packages"]),
        ([SOUND, SKIPPED], 0, ["no known vulnerability in 1 packages", "not looked up: torch"]),
        (
            [SOUND, FAULTY, SKIPPED],
            1,
            [
                "old 1.0: CVE-1, fixed in 1.1",
                "old 1.0: CVE-2, fixed in no version yet",
                "not looked up: torch",
            ],
        ),
    ],
)
def test_verdicts(audit, packages, code, lines):
    found = audit.verdict({"dependencies": packages})
    assert (found.code, list(found.lines)) == (code, lines)


@pytest.mark.parametrize("packages", [[OURS, SKIPPED], [OURS], []])
def test_where_nothing_was_looked_up_nothing_was_audited(audit, packages):
    found = audit.verdict({"dependencies": packages})
    assert found.code == 3
    assert "NOT AUDITED" in found.lines[0]


def test_no_report_is_no_audit(audit):
    assert audit.verdict(None).code == 3


@pytest.fixture
def away(audit, monkeypatch, tmp_path):
    """pip-audit without a network, and no SBOM; gives what was run."""
    ran = []

    def run(command, **_):
        ran.append(command)
        return subprocess.CompletedProcess(command, 1, "", "a trace\nno network")

    monkeypatch.setattr(audit.subprocess, "run", run)
    return ran


def test_exit_codes_tell_a_missing_network_from_a_fault(audit, away, tmp_path, capsys):
    sbom = ["--sbom", str(tmp_path / "sbom.json")]
    assert audit.main([*sbom, "--ignore-vuln", "CVE-1"]) == 3
    assert away[-1][-2:] == ["--ignore-vuln", "CVE-1"]
    assert audit.main([*sbom, "--unreachable-ok"]) == 0
    said = capsys.readouterr()
    assert said.out.count("NOT AUDITED") == 2
    assert "no network" in said.err


def test_the_sbom_lists_what_is_installed(audit, tmp_path):
    pytest.importorskip("cyclonedx_py")
    path = tmp_path / "build" / "sbom.json"
    audit.write_sbom(path)
    sbom = json.loads(path.read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    assert sbom["metadata"]["component"]["name"] == "budgetmem"
    assert {"grpcio", "numpy", "pyjwt", "cryptography"} <= {
        component["name"].lower() for component in sbom["components"]
    }
