from __future__ import annotations

import sys

import pytest

from budgetmem.assets.steps import load_step
from budgetmem.errors import AssetError


def test_a_missing_tool_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "budgetmem.assets.steps.onnx_pool", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(AssetError, match=r"needs onnx.*pip install 'budgetmem\[embedded\]'"):
        load_step("onnx-pool")
