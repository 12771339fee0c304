import json

import numpy as np
import pytest
import torch
from rich.console import Console

from budgetmem.errors import ConfigError
from tests.training import toy_outcomes as toys
from training import train
from training.evaluation import Walked, best_constant, constant
from training.reward import PAPER_COST_WEIGHTS
from training.sweep import baselines, sweep, trend

QUIET = Console(quiet=True)


def results(out):
    return json.loads((out / "sweep.json").read_text())["results"]


def test_a_sweep_has_seven_fixed_policies_and_the_conditioned_one(tmp_path):
    sweep(toys.config(tmp_path, updates=2), toys.splits(), QUIET, train.train)
    found = json.loads((tmp_path / "sweep.json").read_text())
    names = [each["name"] for each in found["results"]]
    assert names.count("fixed") == names.count("conditioned") == names.count("oracle") == 7
    assert set(found["spearman_of_cost"]) == {
        "fixed",
        "conditioned",
        "blind",
        "nearest neighbours",
    }
    folders = sorted(each.parent.name for each in tmp_path.glob("*/best.pt"))
    assert folders == ["blind", "conditioned", *(f"lambda-{w:g}" for w in PAPER_COST_WEIGHTS)]
    card = torch.load(tmp_path / "lambda-0.3" / "best.pt")["card"]
    assert card["cost_weight"] == {"min": 0.3, "max": 0.3}


@pytest.mark.parametrize(
    ("trained", "shown"), [([0.0, 0.3], [0.0, 0.05, 0.1, 0.3]), ([0.31, 0.45], [0.31, 0.45])]
)
def test_the_conditioned_policy_is_shown_where_it_was_trained(tmp_path, trained, shown):
    sweep(toys.config(tmp_path, updates=2, cost_weights=trained), toys.splits(), QUIET, train.train)
    by_name = {}
    for each in results(tmp_path):
        by_name.setdefault(each["name"], []).append(each["cost_weight"])
    assert by_name["conditioned"] == shown
    assert by_name["fixed"] == list(PAPER_COST_WEIGHTS)
    # There is something to compare each with.
    assert by_name["oracle"] == sorted({*PAPER_COST_WEIGHTS, *shown})


def test_the_best_constant_is_chosen_on_the_training_questions():
    data = toys.splits()
    scales = data.yardstick(toys.config("nowhere"))
    *uniform, best, _, _ = baselines(data, 0.3, scales)
    assert [each.name for each in uniform] == ["LLLLL", "MMMMM", "HHHHH"]
    path = best_constant(data.training, 0.3, scales)
    assert best.name == f"best constant of training, {path}"
    assert best.scores.tolist() == constant(data.validation, path, 0.3, scales).scores.tolist()


def test_a_sweep_of_a_single_lambda_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--cost-weight"):
        sweep(toys.config(tmp_path, cost_weights=[0.3]), toys.splits(), QUIET, train.train)


@pytest.mark.parametrize(
    ("costs", "expected"), [([3, 2, 1], -1), ([1, 1, 1], None), ([1, 2, 3], 1)]
)
def test_the_trend_is_minus_one_if_cost_falls_all_the_way(costs, expected):
    nothing = np.zeros(1)
    walked = [
        Walked("toy", weight, nothing, np.array([float(cost)]), nothing, np.zeros((5, 3)), 1.0)
        for weight, cost in zip((0.0, 0.3, 0.9), costs, strict=True)
    ]
    assert trend(walked) == (None if expected is None else pytest.approx(expected))
