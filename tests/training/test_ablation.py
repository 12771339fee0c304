"""Variants are the configuration with a change, and are compared question by question."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from budgetmem.errors import ConfigError
from tests.training import toy_outcomes as toys
from training import ablation
from training.ablation import AS_IT_IS, VARIANTS, Measured, compare, merged
from training.config import TrainConfig

QUIET = Console(file=io.StringIO())


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_every_variant_is_a_configuration(tmp_path, changes):
    config = toys.config(tmp_path, policy={"hidden": 9})
    variant = TrainConfig.model_validate(merged(config.model_dump(), changes))
    assert variant.policy.hidden == 9
    assert (variant == config) == (not changes)


def test_tables_are_merged_and_all_else_replaced():
    settings = {"a": 1, "lambdas": (1, 2), "ppo": {"clip": 0.2, "epochs": 4}}
    changed = merged(settings, {"lambdas": (3,), "ppo": {"epochs": 1}})
    assert changed == {"a": 1, "lambdas": (3,), "ppo": {"clip": 0.2, "epochs": 1}}
    assert settings["ppo"]["epochs"] == 4


def test_an_advantage_is_paired_by_question():
    usual = Measured(np.array([0.0, 10.0]), np.zeros(2), np.zeros(2), [5.0])
    better = Measured(np.array([1.0, 11.0]), np.ones(2), np.full(2, 1e-5), [6.0])
    told = better.report(usual)
    assert told["advantage"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert (told["reward"], told["score"], told["cost_usd"]) == (6.0, 1.0, 1e-5)


def test_variants_are_trained_with_every_seed_and_written(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "read_splits", lambda config: toys.splits())
    config = toys.config(tmp_path, updates=2, seed=5)
    names = [AS_IT_IS, "without embeddings", "lambda drawn between"]
    compare(config, names, 2, QUIET)
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert list(found["variants"]) == names
    assert found["variants"][AS_IT_IS]["advantage"] == {"mean": 0, "low": 0, "high": 0}
    for each in found["variants"].values():
        assert len(each["reward_by_seed"]) == 2
    folders = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert folders == {f"{name.replace(' ', '-')}-{seed}" for name in names for seed in (5, 6)}


def test_an_unknown_variant_is_named():
    with pytest.raises(ConfigError, match="'with luck' is not one of as configured"):
        ablation._chosen(["with luck"])
    assert ablation._chosen(["without alignment"]) == [AS_IT_IS, "without alignment"]
    assert ablation._chosen(None) == list(VARIANTS)
