"""Routers that come with the package: toys in a folder of the tests, and those that are there."""

from __future__ import annotations

from logging import WARNING
from pathlib import Path

import pytest

from budgetmem import bundled_routers as module
from budgetmem.bundled_routers import bundled_routers, router_folder, with_bundled
from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from budgetmem.router_artifact import README_FILE, load
from server.routers import serving_routers
from tests.router_folders import write_router

LARGEST_MB = 8


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """Toy routers as if they came with the package: two of `small`, one of `gpu`."""
    folder = tmp_path / "package"
    for name in ("small/reasoning", "small/capacity", "gpu/capacity"):
        write_router(folder / name, name.split("/")[1])
    monkeypatch.setattr(module, "ROUTERS", folder)
    return folder


def test_they_are_named_by_profile_and_strategy(bundle):
    (bundle / "small" / "implementation").mkdir()  # no router in it
    names = ["gpu/capacity", "small/capacity", "small/reasoning"]
    assert list(bundled_routers().items()) == [(name, bundle / name) for name in names]


def test_a_package_without_any(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ROUTERS", tmp_path / "absent")
    assert bundled_routers() == {}
    assert with_bundled("small", []) == []
    with pytest.raises(ConfigError, match=r"comes with the package \(none\)"):
        router_folder(Path("small/capacity"))


def test_a_name_is_a_folder_of_the_package_unless_there_is_one_on_disk(
    bundle, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    named = Path("small/capacity")
    assert router_folder(named) == bundle / "small/capacity"
    write_router(named)
    assert router_folder(named) == named


def test_a_name_of_nothing_is_told_with_the_names_that_there_are(bundle):
    with pytest.raises(ConfigError, match=r"small/best: .*\(gpu/capacity, small/capacity, small/r"):
        router_folder(Path("small/best"))


def test_a_profile_is_served_by_its_own(bundle):
    assert with_bundled("small", []) == [bundle / "small/capacity", bundle / "small/reasoning"]
    assert with_bundled("tiny", []) == []


def test_a_profile_of_ones_own_has_none_whatever_its_name(bundle):
    assert with_bundled("small.toml", []) == with_bundled("/etc/small", []) == []


def test_a_folder_that_is_named_takes_the_place_of_the_one_of_its_strategy(bundle, tmp_path):
    mine = tmp_path / "mine"
    write_router(mine, "reasoning")
    assert with_bundled("small", [mine]) == [mine, bundle / "small/capacity"]
    write_router(mine, "implementation")
    assert with_bundled("small", [mine])[1:] == with_bundled("small", [])


def test_a_named_folder_without_a_router_is_an_error(bundle, tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        with_bundled("small", [tmp_path / "absent"])


def test_without_what_runs_them_the_error_names_the_way_out(bundle, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(ConfigError, match=r"need onnxruntime: .*--no-bundled-routers"):
        with_bundled("small", [])
    assert with_bundled("tiny", []) == []


@pytest.mark.parametrize("name", bundled_routers())
async def test_a_router_of_the_package_is_what_its_folder_says(name, caplog):
    folder, (profile, strategy) = bundled_routers()[name], name.split("/")
    card = load(folder).card
    assert (card.profile, card.strategy) == (profile, strategy)
    assert card.version in (folder / README_FILE).read_text(encoding="utf-8")
    assert sum(file.stat().st_size for file in folder.iterdir()) < LARGEST_MB * 1e6
    async with serving_routers(load_profile(profile), [folder]) as routers:
        assert routers.versions()[strategy] == card.version
    assert [record.message for record in caplog.records if record.levelno >= WARNING] == []
