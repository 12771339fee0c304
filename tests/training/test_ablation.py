"""Variants are the configuration with a change, and are compared question by question."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from budgetmem.errors import ConfigError
from budgetmem.features import GROUPS
from tests.training import toy_outcomes as toys
from training import ablation
from training.ablation import AS_IT_IS, Measured, compare, merged, variants
from training.config import TrainConfig
from training.ppo import PAPER
from training.statistics import Mean

QUIET = Console(file=io.StringIO())


def changed(config, name):
    return TrainConfig.model_validate(merged(config.model_dump(), variants(config)[name]))


def test_every_variant_is_a_configuration(tmp_path):
    config = toys.config(tmp_path, policy={"hidden": 9})
    for name in variants(config):
        variant = changed(config, name)
        assert variant.policy.hidden == 9
        assert (variant == config) == (name == AS_IT_IS)


def test_features_are_left_out_of_those_that_are_configured(tmp_path):
    def left(*groups):
        config = toys.config(tmp_path, feature_groups=groups)
        return {
            name: changed(config, name).feature_groups
            for name in variants(config)
            if name.startswith("without") and name.endswith("features")
        }

    assert left("kept", "question") == {
        "without kept features": ("question",),
        "without question features": ("kept",),
    }
    assert left("kept") == {}  # none at all would mean all of them
    assert set(left()) == {f"without {name} features" for name in GROUPS}
    assert left()["without steps features"] == tuple(group for group in GROUPS if group != "steps")


def test_the_papers_form_is_what_the_parity_tests_run(tmp_path):
    config = toys.config(tmp_path, policy={"dropout": 0.1}, ppo={"clip": 0.3, "epochs": 2})
    found = changed(config, "the paper's form")
    assert found.policy.dropout == 0
    assert (found.ppo.ratio, found.ppo.critic, found.ppo.value_clip) == ("joint", "filter", 0.2)
    assert (found.ppo.clip, found.ppo.epochs) == (0.3, 2)
    usual = TrainConfig.model_validate(toys.config(tmp_path).model_dump())
    assert changed(usual, "the paper's form").ppo == PAPER


def test_tables_are_merged_and_all_else_replaced():
    settings = {"a": 1, "lambdas": (1, 2), "ppo": {"clip": 0.2, "epochs": 4}}
    changed = merged(settings, {"lambdas": (3,), "ppo": {"epochs": 1}})
    assert changed == {"a": 1, "lambdas": (3,), "ppo": {"clip": 0.2, "epochs": 1}}
    assert settings["ppo"]["epochs"] == 4


def test_an_advantage_is_paired_by_question():
    usual = Measured(np.array([0.0, 10.0]), np.zeros(2), np.zeros(2), [5.0])
    better = Measured(np.array([1.0, 11.0]), np.ones(2), np.full(2, 1e-5), [6.0])
    told = better.report(usual)
    assert told["advantage"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "n": 2}
    assert (told["reward"], told["score"], told["cost_usd"]) == (6.0, 1.0, 1e-5)


def test_variants_are_trained_with_every_seed_and_written(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "read_splits", lambda config: toys.splits())
    config = toys.config(tmp_path, updates=2, seed=5)
    names = [AS_IT_IS, "without embeddings", "the paper's form"]
    compare(config, names, 2, QUIET)
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert list(found["variants"]) == names
    nothing = Mean(0, 0, 0, len(toys.splits().validation.questions))
    assert found["variants"][AS_IT_IS]["advantage"] == nothing.report()
    for each in found["variants"].values():
        assert len(each["reward_by_seed"]) == 2
    folders = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert folders == {
        f"{name}-{seed}"
        for name in ("as-configured", "without-embeddings", "the-papers-form")
        for seed in (5, 6)
    }


def test_an_unknown_variant_is_named():
    with pytest.raises(ConfigError, match="'with luck' is not one of as configured"):
        ablation._chosen(["with luck"], [AS_IT_IS, "without alignment"])


def test_the_configuration_itself_is_always_among_the_chosen():
    known = [AS_IT_IS, "without embeddings", "without alignment"]
    assert ablation._chosen(["without alignment"], known) == [AS_IT_IS, "without alignment"]
    assert ablation._chosen(None, known) == known


def test_what_cannot_be_measured_is_refused_before_anything_is_trained(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="leave out --live"):
        compare(toys.config(out, live=True), None, 1, QUIET)
    for seeds in (0, -1):
        with pytest.raises(ConfigError, match=f"--seeds: is {seeds}"):
            compare(toys.config(out), None, seeds, QUIET)
    with pytest.raises(ConfigError, match="'with luck' is not one of"):
        compare(toys.config(out), ["with luck"], 1, QUIET)
    assert not out.exists()
    out.write_text("a file")
    with pytest.raises(ConfigError, match="cannot be made a folder"):
        compare(toys.config(out), None, 1, QUIET)
