from __future__ import annotations

import pytest

from budgetmem.assets import AssetStatus
from budgetmem.config import load_profile
from server.doctor import models
from server.doctor.findings import Wanted


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """The assets' states, by name; all are installed unless a test says otherwise."""
    states = {}

    def status(names):
        return [
            AssetStatus(name, states.get(name, "installed"), tmp_path, 10**9, "", "", "")
            for name in names
        ]

    monkeypatch.setattr(models, "status", status)
    return states


@pytest.fixture
def wanted(tmp_path, installed):
    return Wanted(load_profile("tiny"), tmp_path / "data", "127.0.0.1", 0)
