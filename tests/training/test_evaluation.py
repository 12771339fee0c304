import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from budgetmem.errors import InvalidInput
from budgetmem.modules import MODULES
from tests.training.toy_outcomes import environment, leaf, outcomes, vectors
from training.evaluation import (
    constants,
    evaluate,
    oracle,
    random_path,
    yardstick,
)
from training.rollouts.environment import RecordedEnvironment
from training.rollouts.outcomes import OutcomeFile

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
    assert first.ratios == pytest.approx(np.array([[0.5, 0, 0.5]] * len(MODULES)))
    assert last.scores == pytest.approx([leaf("LLLLL", hard=True).score, 0.9] * 3)
    assert last.ratios == pytest.approx(np.array([[1, 0, 0]] * len(MODULES)))
    weights = np.full(6, 0.0)
    assert first.rewards == pytest.approx(scales.evaluate(first.scores, first.costs, weights))


def test_evaluation_repeats_itself_and_leaves_the_policy_in_evaluation_mode(toys, scales):
    policy = Knowing()
    policy.train()
    state = torch.get_rng_state()
    one, other = (evaluate(policy, toys, [0.3], scales, orders=3)[0] for _ in range(2))
    assert one.rewards.tolist() == other.rewards.tolist()
    assert not policy.training
    assert torch.equal(state, torch.get_rng_state())


def test_constants_are_the_paths_that_all_questions_have(toys, scales):
    found = {each.name: each for each in constants(toys, 0.3, scales)}
    assert {"LLLLL", "MMMMM", "HHHHH", "LHHHM"} <= set(found)
    assert len(found) >= 27
    assert found["LHHHM"].scores == pytest.approx([leaf("LHHHM", hard=True).score, 0.9] * 3)
    assert found["LHHHM"].ratios[:, 2] == pytest.approx([0, 1, 1, 1, 0])


@pytest.mark.parametrize("weight", LAMBDAS)
def test_nothing_beats_the_oracle_question_by_question(toys, scales, weight):
    best = oracle(toys, weight, scales)
    others = [
        *constants(toys, weight, scales),
        random_path(toys, weight, scales),
        *evaluate(Knowing(), toys, [weight], scales),
    ]
    assert all((each.rewards <= best.rewards + 1e-12).all() for each in others)


def test_of_equal_rewards_the_oracle_takes_the_cheapest(toys, scales):
    easy = oracle(toys, 0.0, scales)
    assert easy.costs[1] == pytest.approx(leaf("LLLLL", hard=False).cost_usd)


def test_a_random_path_is_the_mean_of_the_recorded_ones(toys, scales):
    found = random_path(toys, 0.3, scales)
    scores = [each.score for each in outcomes(0).leaves.values()]
    assert found.scores[0] == pytest.approx(np.mean(scores))
    assert found.ratios == pytest.approx(np.full((len(MODULES), 3), 1 / 3))


def test_a_yardstick_has_the_scales_of_the_records(toys):
    known = ~np.isnan(toys.cost)
    low, high = np.percentile(np.sqrt(toys.cost[known]), (5, 95))
    assert yardstick(toys).normalizer.span == pytest.approx((low, high))
    off = yardstick(toys, alignment=False).evaluate([0.4], [1.0], [0.0])
    assert off == pytest.approx([0.4])


def test_a_report_is_json_and_has_intervals(toys, scales):
    report = json.loads(json.dumps(oracle(toys, 0.3, scales).report(), allow_nan=False))
    assert report["score"]["low"] <= report["score"]["mean"] <= report["score"]["high"]
    assert set(report["tiers"]) == set(MODULES)
    assert sum(report["tiers"]["filter"].values()) == pytest.approx(1)


def test_an_empty_split_is_refused():
    file = OutcomeFile({}, ("a",), ())
    with pytest.raises(InvalidInput, match="empty split"):
        RecordedEnvironment(file, vectors(file))
