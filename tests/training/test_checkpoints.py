from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import ConfigError, InvalidInput
from training import checkpoints
from training.checkpoints import Checkpoint


def checkpoint() -> Checkpoint:
    generator = np.random.default_rng(3)
    generator.random(5)
    return Checkpoint(
        update=4,
        policy={"weight": torch.arange(3.0)},
        ppo={"generator": torch.Generator().manual_seed(1).get_state()},
        reward={"costs_usd": [0.1, 1 / 3]},
        random=generator.bit_generator.state,
        best={},
        settings={"seed": 1, "ppo": {"clip": 0.2}},
        data={"outcomes": "aa"},
    )


def test_what_was_saved_comes_back(tmp_path):
    saved = checkpoint()
    path = tmp_path / "checkpoint.pt"
    checkpoints.save(path, saved)
    loaded = checkpoints.load(path)
    for each in fields(Checkpoint):
        held, given_ = getattr(saved, each.name), getattr(loaded, each.name)
        if each.name in {"policy", "ppo"}:
            assert all(torch.equal(held[name], given_[name]) for name in held)
        else:
            assert held == given_
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "checkpoint.pt"
    checkpoints.save(path, checkpoint())
    return path.read_bytes()


@given(data=st.data())
def test_a_truncated_or_damaged_file_is_refused(whole, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.pt"
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    for damaged in (whole[:at], flipped):
        path.write_bytes(damaged)
        with pytest.raises(InvalidInput, match=r"no checkpoint|truncated or damaged"):
            checkpoints.load(path)


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"policy": {}}, path)
    with pytest.raises(InvalidInput, match="no checkpoint of this version"):
        checkpoints.load(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.mkdir()
    with pytest.raises(InvalidInput, match=r"checkpoint.pt: cannot be read: Is a directory"):
        checkpoints.load(path)


def test_a_folder_is_made_unless_it_is_there(tmp_path):
    for _ in range(2):
        checkpoints.make_folder(tmp_path / "one" / "other")
    assert (tmp_path / "one" / "other").is_dir()
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "below"):
        with pytest.raises(ConfigError, match=f"{path}: cannot be made a folder"):
            checkpoints.make_folder(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": {"seed": 2, "ppo": {"clip": 0.2}}}, "seed: 2, here 1"),
        ({"settings": {"seed": 1, "ppo": {"clip": 0.3}}}, r"ppo.clip: 0.3, here 0.2"),
        ({"data": {"outcomes": "bb"}}, 'outcomes: "bb", here "aa"'),
    ],
)
def test_another_run_is_named(change, named):
    ours = checkpoint()
    checkpoints.check_same_run(ours, ours.settings, ours.data)
    with pytest.raises(ConfigError, match=named):
        checkpoints.check_same_run(replace(ours, **change), ours.settings, ours.data)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    checkpoints.write(path, b"old")

    def fail(_: int):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.write(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_write_reaches_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    path = tmp_path / "file"
    seen: list[bool] = []
    monkeypatch.setattr("os.fsync", lambda _: seen.append(path.exists()))
    checkpoints.write(path, b"new")
    assert seen == [False, True]  # the file's content, then its name
