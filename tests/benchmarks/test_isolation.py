"""Random calls of many tenants: nothing crosses, and a fault that lets it cross is found."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("budgetmem._core", reason="the C++ core is not built")

from benchmarks.isolation.__main__ import main
from benchmarks.isolation.calls import ACTIONS
from benchmarks.isolation.run import isolation
from server.security.principal import caller

CALLS = 2000


@pytest.mark.timeout(900)
async def test_nothing_crosses_from_tenant_to_tenant(tmp_path):
    report = await isolation(CALLS, tenants=6, seed=1, data_dir=tmp_path)
    assert report.violations == []
    assert sum(report.calls.values()) == CALLS
    assert set(report.calls) == {action.__name__ for action in ACTIONS}
    folders = {path.name for path in (tmp_path / "histories").iterdir()}
    assert folders - {".locks"} <= {f"tenant{number}" for number in range(6)}


def test_the_report_is_json(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["isolation", "--calls", "20", "--tenants", "2"])
    with pytest.raises(SystemExit) as ended:
        main()
    report = json.loads(capsys.readouterr().out)
    assert (ended.value.code, report["violations"]) == (0, [])
    assert sum(report["calls"].values()) == 20


class Mixed:
    """Takes every third caller for the tenant beside it."""

    def __init__(self):
        self.calls = 0

    def of(self, context):
        self.calls += 1
        return "tenant0" if self.calls % 3 == 0 else caller().tenant


@pytest.mark.timeout(300)
async def test_a_fault_is_found(tmp_path):
    report = await isolation(60, tenants=3, seed=1, data_dir=tmp_path, source=Mixed())
    assert any("texts of" in each or "holds" in each for each in report.violations)
