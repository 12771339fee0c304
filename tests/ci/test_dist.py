"""What does not belong into an artefact is noticed."""

from __future__ import annotations

import importlib.util
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / ".ci" / "dist.py"


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
