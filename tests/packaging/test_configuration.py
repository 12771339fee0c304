"""What pyproject.toml says of wheels agrees with itself and with the tree."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.packaging.installed import DATA

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEELS = PYPROJECT["tool"]["cibuildwheel"]


def test_wheels_are_of_the_pythons_that_are_promised():
    minors = [int(minor) for minor in re.findall(r"cp3(\d+)-\*", WHEELS["build"])]
    assert PYPROJECT["project"]["requires-python"] == f">=3.{min(minors)}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python 3.{min(minors)} to 3.{max(minors)}" in readme
    assert minors == [*range(min(minors), max(minors) + 1)]


def test_wheels_are_tried_by_what_there_is():
    commands = PYPROJECT["project"]["entry-points"]["budgetmem.commands"]
    for each in WHEELS["test-command"]:
        program, *words = each.split()
        if program == "budgetmem":
            assert words[0].startswith("--") or words[0] in commands
        else:
            assert (ROOT / words[0].removeprefix("{project}/")).is_file()


@pytest.mark.parametrize("package", DATA)
def test_data_that_a_wheel_is_looked_through_for_is_in_the_tree(package):
    sources = PYPROJECT["tool"]["scikit-build"]["wheel"]["packages"]
    for pattern in DATA[package]:
        within = [
            (source, pattern.removeprefix(place.removeprefix(package).lstrip("/")).lstrip("/"))
            for place, source in sources.items()
            if f"{package}/{pattern}".startswith(f"{place}/")
        ]
        assert any([*(ROOT / source).glob(name)] for source, name in within), pattern


def test_extensions_of_other_pythons_stay_out():
    build = PYPROJECT["tool"]["scikit-build"]
    assert "**/*.so" in build["sdist"]["exclude"]
    # It would leave out the extension that was just built.
    assert "exclude" not in build["wheel"]


def test_dev_names_other_extras_and_restates_none():
    extras = PYPROJECT["project"]["optional-dependencies"]
    [named] = [each for each in extras["dev"] if each.startswith("budgetmem[")]
    for name in named.removeprefix("budgetmem[").removesuffix("]").split(","):
        # Of an extra that is not there pip only warns.
        assert not set(extras[name]) & set(extras["dev"]), name
