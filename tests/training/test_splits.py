"""Outcomes and the dataset that they are of: it is opened as it was, or refused."""

import pytest

from budgetmem.errors import ConfigError, InvalidInput
from tests.training import toy_outcomes as toys
from tests.training.datasets.records import paragraphs, written
from training import splits
from training.datasets import open_dataset
from training.splits import read_splits

OPTIONS = {"train": "a.jsonl", "validation": "b.jsonl"}


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Makes one of outcomes that were recorded from two files of HotpotQA, with these options."""
    monkeypatch.setattr(splits, "embedded", toys.vectors)
    for name in ("a", "b"):
        written(tmp_path / f"{name}.jsonl", [paragraphs(f"{name}0")])
    dataset = open_dataset("hotpotqa", tmp_path, train="a.jsonl", validation="b.jsonl")
    own = {"dataset": "hotpotqa", "sha256": dataset.sha256, "data_options": dict(dataset.facts)}
    for history, split in (("h0", "train"), ("h1", "validation")):
        file = toys.outcome_file(3, history=history, **own, split=split)
        toys.write(tmp_path / f"{split}.jsonl", file)

    def made(options):
        return toys.config(
            tmp_path / "out",
            outcomes=tmp_path / "train.jsonl",
            validation=tmp_path / "validation.jsonl",
            data=tmp_path,
            data_options=options,
        )

    return made


def test_a_dataset_is_opened_with_the_options_of_its_recording(config):
    found = read_splits(config(OPTIONS))
    assert found.dataset.facts == found.setting["data_options"]
    assert found.hashes["data"] == found.dataset.sha256


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"train": "b.jsonl", "validation": "a.jsonl"}, InvalidInput, "data_options: .*train: "),
        ({"train": "a.jsonl"}, InvalidInput, "data_options: .*validation: .*, here null"),
        ({}, ConfigError, "name the file of a split"),
        ({"colour": "red"}, ConfigError, "no option 'colour'"),
    ],
)
def test_other_options_are_refused(config, options, error, named):
    with pytest.raises(error, match=named):
        read_splits(config(options))
