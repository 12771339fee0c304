"""What does not belong into an artefact is noticed."""

from __future__ import annotations

import importlib.util
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".ci" / "dist.py"


@pytest.fixture(scope="module")
def dist():
    spec = importlib.util.spec_from_file_location("dist", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_wheel_has_its_packages_and_no_caches(dist, tmp_path):
    wheel = tmp_path / "budgetmem-1.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in (
            *("budgetmem/cli.py", "server/service.py", "budgetmem-1.dist-info/METADATA"),
            *("tests/test_cli.py", "server/__pycache__/service.pyc"),
        ):
            archive.writestr(name, "")
    assert [*dist.strays_of_wheel(wheel)] == ["tests/test_cli.py", "server/__pycache__/service.pyc"]


def test_an_sdist_has_nothing_that_was_built(dist, tmp_path):
    sdist = tmp_path / "budgetmem-1.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        for name in ("budgetmem-1/csrc/src/core.cpp", "budgetmem-1/budgetmem/_core.so"):
            archive.addfile(tarfile.TarInfo(name))
    assert [*dist.strays_of_sdist(sdist)] == ["budgetmem-1/budgetmem/_core.so"]


def test_a_wheel_has_all_of_the_tree_as_it_is_there(dist, tmp_path):
    files = {"budgetmem/cli.py": b"1", "budgetmem/py.typed": b"", "server/service.py": b"2"}
    wheel = tmp_path / "budgetmem-1.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("budgetmem/cli.py", "1")
        archive.writestr("server/service.py", "another")
        archive.writestr("budgetmem/_core.so", "built")
    assert [*dist.lost_by_wheel(wheel, files)] == ["budgetmem/py.typed", "server/service.py"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no repository")
def test_the_tree_is_named_as_the_wheel_names_it(dist):
    files = dist.tracked()
    assert {
        *("budgetmem/py.typed", "server/__main__.py", "server/http/openapi.json"),
        "server/model_repository/encoder/1/model.py",
    } <= files.keys()
    assert not any(name.endswith(".so") for name in files)


def test_the_sources_are_those_of_the_build(dist):
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    packages = build["scikit-build"]["wheel"]["packages"]
    assert {place: source for source, place in dist.SOURCES.items()} == packages


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, []),
        ({"answer": None}, ["no memory or no answer on high"]),
        ({"memory": ""}, ["no memory or no answer on high"]),
        ({"tier": "mid"}, ["no row on high"]),
    ],
)
def test_a_demonstration_that_answers_nothing_is_noticed(dist, tmp_path, change, fault):
    row = {"memory": "Ana moved.", "answer": "Lisbon", "tokens": 9}
    rows = [{**row, "tier": "low"}, {**row, "tier": "mid"}, {**row, "tier": "high", **change}]
    file = tmp_path / "demo.json"
    file.write_text(json.dumps({"rows": rows}))
    assert [*dist.faults_of_demo(file)] == fault
