"""Outcomes and the dataset that they are of: it is opened as it was, or refused.

Of validation the path all on Low is recorded alone: what is known of others is training's.
"""

from dataclasses import replace

import pytest

from budgetmem.errors import ConfigError, InvalidInput
from tests.training import toy_outcomes as toys
from tests.training.datasets.records import paragraphs, written
from training import splits
from training.datasets import open_dataset
from training.evaluation import yardstick
from training.rollouts.outcomes import Outcomes
from training.rollouts.paths import place_of
from training.splits import read_splits

OPTIONS = {"train": "a.jsonl", "validation": "b.jsonl"}


def on_low(each: Outcomes) -> Outcomes:
    return replace(each, leaves={"LLLLL": each.leaves["LLLLL"]})


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
        if split == "validation":
            file = replace(file, outcomes=tuple(map(on_low, file.outcomes)))
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


def test_what_was_not_recorded_of_validation_is_estimated_by_training(config):
    """By its own outcomes no tier would add anything, to scores or to costs."""
    found = read_splits(config(OPTIONS)).validation
    low, high = place_of("LLLLL"), place_of("HHHHH")
    assert found.recorded.sum() == 3
    assert found.cost[:, high] == pytest.approx(toys.leaf("HHHHH", hard=True).cost_usd)
    hard = [True, False, True]
    assert found.score[hard, low] == pytest.approx(0.05)
    assert (found.score[hard, high] > 0.3).all()


def test_policies_are_compared_by_the_scales_of_training(config):
    asked = config(OPTIONS)
    found = read_splits(asked)
    scales = found.yardstick(asked).normalizer.span
    assert scales == yardstick(found.training).normalizer.span
    assert scales != yardstick(found.validation).normalizer.span


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
