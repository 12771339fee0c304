"""Nearest neighbours: what did well on similar questions, and nothing of the others."""

from functools import partial

import numpy as np
import pytest

from budgetmem.tiers import Tier
from tests.training import toy_outcomes as toys
from training import neighbours
from training.evaluation import evaluate, yardstick
from training.neighbours import fitted
from training.ppo import greedy
from training.rollouts.effects import Effects
from training.rollouts.environment import Embedded, RecordedEnvironment
from training.rollouts.paths import EVERY_PATH, place_of

UNIFORM = ("LLLLL", "MMMMM", "HHHHH")


def told(file) -> Embedded:
    """Hard questions lie in one direction, easy ones in the other."""
    queries = {
        each.question: np.eye(4, dtype=np.float32)[int(each.nodes[""].features[0])]
        for each in file.outcomes
    }
    return Embedded(queries, toys.vectors(file).chunks)


@pytest.fixture
def environment():
    file = toys.outcome_file(12)
    return RecordedEnvironment(file, told(file))


def test_similar_questions_get_what_did_well_on_them(environment):
    scales = yardstick(environment)
    policy = fitted(environment, scales, count=5)
    found = evaluate(policy, environment, [0.1], scales)[0]
    hard = np.arange(12) % 2 == 0
    assert found.scores[hard].mean() == pytest.approx(0.05 + 0.9, abs=0.05)
    assert found.costs[~hard].max() < found.costs[hard].min()


def test_a_greater_lambda_spends_less(environment):
    scales = yardstick(environment)
    costs = [each.costs.mean() for each in evaluate(
        fitted(environment, scales), environment, [0.0, 0.5, 5.0], scales
    )]  # fmt: skip
    assert costs[0] > costs[1] >= costs[2]


@pytest.mark.parametrize("weight", [0.0, 0.4, 2.0])
def test_logits_are_what_a_tier_adds_to_the_reward_at_lambda(environment, weight):
    """Exactly: of all neighbours, the rewards of paths with the tier less those of all paths."""
    scales = yardstick(environment)
    shape = environment.score.shape
    rewards = scales.evaluate(
        environment.score.ravel(), environment.cost.ravel(), np.full(shape[0] * shape[1], weight)
    ).reshape(shape)
    centred = (rewards - rewards.mean(axis=1, keepdims=True)).mean(axis=0)
    policy = fitted(environment, scales, count=len(environment.questions))
    weights = np.full(1, weight)
    walked = environment.walk(
        np.zeros(1, int), weights, partial(greedy, policy), np.random.default_rng(0)
    )
    for module, logits in enumerate(policy.evaluate(walked.seen)[0].tolist()):
        expected = [centred[EVERY_PATH[:, module] == tier].mean() for tier in Tier]
        assert logits == pytest.approx(expected, abs=1e-5)


def test_a_module_that_does_nothing_has_no_effect_however_paths_were_chosen():
    """Uniform paths beside others put all modules on one tier: a mean over recorded paths would
    take the summary's effect for everybody's."""
    scores = np.full((40, len(EVERY_PATH)), np.nan)
    for row in scores:
        planned = ["LMHLL", "LMHLH", "HMLML", "HMLMH", *UNIFORM]
        for path in planned:
            row[place_of(path)] = 0.3 * (path[-1] == "H")
    filled = Effects.fit(scores).estimate(scores)
    task = neighbours._effects(filled)
    assert task[:, -1, Tier.HIGH] == pytest.approx(0.2, abs=0.02)
    assert task[:, :-1].abs().max() < 0.02
