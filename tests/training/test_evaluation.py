import json
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
import torch

from budgetmem.modules import MODULES
from tests.training.toy_outcomes import PATHS, environment, leaf, outcome_file, vectors
from training.evaluation import (
    best_constant,
    constant,
    evaluate,
    oracle,
    random_path,
    yardstick,
)
from training.rollouts.environment import RecordedEnvironment
from training.rollouts.paths import LETTERS

LAMBDAS = (0.0, 0.3, 0.9)


@dataclass
class Knowing(torch.nn.Module):
    """Takes High for a hard question unless lambda is large, else Low: by the features alone."""

    limit: float = 0.5

    def __post_init__(self):
        super().__init__()

    def evaluate(self, seen):
        high = (seen.features[:, 0] > 0) & (seen.cost_weight < self.limit)
        tiers = torch.where(high, 2, 0)
        return torch.nn.functional.one_hot(tiers, 3).float() * 9, torch.zeros(len(tiers))


@pytest.fixture(scope="module")
def toys() -> RecordedEnvironment:
    return environment(6)


@pytest.fixture(scope="module")
def scales(toys):
    return yardstick(toys)


def test_greedy_walks_come_to_what_was_recorded(toys, scales):
    first, _, last = evaluate(Knowing(), toys, LAMBDAS, scales)
    hard, easy = leaf("HHHHH", hard=True), leaf("LLLLL", hard=False)
    assert first.scores == pytest.approx([hard.score, easy.score] * 3)
    assert first.costs == pytest.approx([hard.cost_usd, easy.cost_usd] * 3)
    assert first.recorded == 1.0
    assert first.ratios == pytest.approx(np.array([[0.5, 0, 0.5]] * len(MODULES)))
    assert last.scores == pytest.approx([leaf("LLLLL", hard=True).score, 0.9] * 3)
    assert last.ratios == pytest.approx(np.array([[1, 0, 0]] * len(MODULES)))
    weights = np.full(6, 0.0)
    assert first.rewards == pytest.approx(scales.evaluate(first.scores, first.costs, weights))


def test_evaluation_repeats_itself_and_leaves_the_policy_in_evaluation_mode(toys, scales):
    policy = Knowing()
    policy.train()
    state = torch.get_rng_state()
    one, other = (evaluate(policy, toys, [0.3], scales)[0] for _ in range(2))
    assert one.rewards.tolist() == other.rewards.tolist()
    assert not policy.training
    assert torch.equal(state, torch.get_rng_state())


def test_a_constant_is_one_path_for_all(toys, scales):
    found = constant(toys, "LHHHM", 0.3, scales)
    assert found.scores == pytest.approx([leaf("LHHHM", hard=True).score, 0.9] * 3)
    assert found.ratios[:, 2] == pytest.approx([0, 1, 1, 1, 0])
    assert found.recorded == 1.0
    assert constant(toys, "LLLHM", 0.3, scales).recorded == 0.0


@pytest.mark.parametrize("weight", LAMBDAS)
def test_no_constant_is_better_than_the_best(toys, scales, weight):
    best = constant(toys, best_constant(toys, weight, scales), weight, scales)
    others = [constant(toys, path, weight, scales) for path in (*PATHS, "LLLHM", "HHHLH")]
    assert max(each.reward for each in others) <= best.reward + 1e-12


@pytest.mark.parametrize("weight", LAMBDAS)
def test_nothing_beats_the_oracle_question_by_question(toys, scales, weight):
    best = oracle(toys, weight, scales)
    others = [
        *(constant(toys, path, weight, scales) for path in PATHS),
        *evaluate(Knowing(), toys, [weight], scales),
    ]
    assert all((each.rewards <= best.rewards + 1e-12).all() for each in others)


def test_of_equal_rewards_the_oracle_takes_the_cheapest(scales):
    """Which is not the first: the path all on Low is made the dearest."""
    file = outcome_file(2)
    hard, easy = file.outcomes
    dear = replace(easy.leaves["LLLLL"], costs_usd=(1.0,) * 7)
    easy = replace(easy, leaves={**easy.leaves, "LLLLL": dear})
    file = replace(file, outcomes=(hard, easy))
    found = oracle(RecordedEnvironment(file, vectors(file)), 0.0, scales)
    assert found.costs[1] == pytest.approx(min(each.cost_usd for each in easy.leaves.values()))
    assert found.scores[1] == 0.9


def test_a_random_path_is_the_mean_of_all(toys, scales):
    found = random_path(toys, 0.3, scales)
    scores = [leaf("".join(path), hard=True).score for path in product(LETTERS, repeat=5)]
    assert found.scores[0] == pytest.approx(np.mean(scores), abs=1e-3)
    assert found.ratios == pytest.approx(np.full((len(MODULES), 3), 1 / 3))
    assert found.recorded == pytest.approx(len(PATHS) / 243)


def test_a_random_path_s_reward_is_the_mean_of_rewards(toys, scales):
    """And not the reward of the means: costs are weighed by their roots."""
    found = random_path(toys, 0.9, scales)
    weights = np.full(243, 0.9)
    for place, reward in enumerate(found.rewards):
        each = scales.evaluate(toys.score[place], toys.cost[place], weights)
        assert reward == pytest.approx(each.mean())
    of_means = scales.evaluate(found.scores, found.costs, np.full(6, 0.9))
    assert abs(found.rewards - of_means).min() > 0.01


def test_a_yardstick_has_the_scales_of_the_records(toys):
    known = toys.recorded
    low, high = np.percentile(np.sqrt(toys.cost[known]), (5, 95))
    assert yardstick(toys).normalizer.span == pytest.approx((low, high))
    off = yardstick(toys, alignment=False).evaluate([0.4], [1.0], [0.0])
    assert off == pytest.approx([0.4])


def test_a_report_is_json_and_has_intervals(toys, scales):
    report = json.loads(json.dumps(oracle(toys, 0.3, scales).report(), allow_nan=False))
    assert report["score"]["low"] <= report["score"]["mean"] <= report["score"]["high"]
    assert set(report["tiers"]) == set(MODULES)
    assert sum(report["tiers"]["filter"].values()) == pytest.approx(1)
