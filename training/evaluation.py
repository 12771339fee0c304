"""What policies come to on recorded outcomes, next to what they are to be compared with.

A policy goes where it would when it serves, and most of its walks were not recorded: what they come
to is then an estimate, and `Walked.recorded` says how many are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from training.policies import Observation
from training.ppo import Policy, greedy
from training.reward import Reward
from training.rollouts.environment import RecordedEnvironment
from training.rollouts.paths import EVERY_PATH, numbers, place_of, spell
from training.statistics import bootstrap

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Walked:
    """What a way of choosing came to at one lambda, question by question.

    `scores` (in [0, 1]), `costs` (USD) and `rewards` are float64 [n]; `ratios` float64 [modules,
    tiers] says how often each module got each tier, rows sum to 1. `recorded` is the share of the
    questions whose path was recorded.
    """

    name: str
    cost_weight: float
    scores: Floats
    costs: Floats
    rewards: Floats
    ratios: Floats
    recorded: float

    @property
    def reward(self) -> float:
        """The mean over questions."""
        return float(self.rewards.mean())

    def report(self) -> dict[str, Any]:
        """JSON-able: means with their intervals, and the ratios by module and tier."""
        return {
            "name": self.name,
            "cost_weight": self.cost_weight,
            "questions": len(self.scores),
            "recorded": self.recorded,
            "score": bootstrap(self.scores).report(),
            "cost_usd": bootstrap(self.costs).report(),
            "reward": bootstrap(self.rewards).report(),
            "tiers": {
                module: dict(zip((tier.label for tier in Tier), row.tolist(), strict=True))
                for module, row in zip(MODULES, self.ratios, strict=True)
            },
        }


def yardstick(
    environment: RecordedEnvironment, *, alignment: bool = True, paper: bool = False
) -> Reward:
    """A Reward whose scales come from recorded outcomes, so that they do not move in training.

    From as many of them as its shortest window holds, drawn evenly.
    """
    reward = Reward(alignment=alignment, paper=paper)
    known = np.flatnonzero(environment.recorded)
    count = min(len(known), reward.normalizer.window)
    drawn = np.random.default_rng(0).choice(known, count, replace=False)
    scores, costs = environment.score.ravel()[drawn], environment.cost.ravel()[drawn]
    reward.rewards(scores, costs, np.zeros(count))
    return reward


def evaluate(
    policy: Policy,
    environment: RecordedEnvironment,
    cost_weights: Sequence[float],
    reward: Reward,
    *,
    name: str = "policy",
) -> list[Walked]:
    """Greedy walks of all questions, a result for each lambda.

    The policy is left in evaluation mode, and no generator of the caller is touched.
    """
    policy.eval()
    count = len(environment.questions)
    places = np.tile(np.arange(count), len(cost_weights))
    weights = np.repeat(np.asarray(cost_weights, dtype=np.float64), count)

    def choose(seen: Observation, masked: Tensor) -> Tensor:
        return greedy(policy, seen, masked)

    walks = environment.walk(places, weights, choose, np.random.default_rng(0))
    taken = numbers(walks.tiers.numpy().T).reshape(len(cost_weights), count)
    return [
        _taken(name, environment, weight, reward, paths)
        for weight, paths in zip(cost_weights, taken, strict=True)
    ]


def constant(
    environment: RecordedEnvironment, path: str, cost_weight: float, reward: Reward
) -> Walked:
    """One path, as it is spelled, for all questions."""
    paths = np.full(len(environment.questions), place_of(path))
    return _taken(path, environment, cost_weight, reward, paths)


def best_constant(environment: RecordedEnvironment, cost_weight: float, reward: Reward) -> str:
    """The path with the best mean reward if all questions take it; of equals the first."""
    means = _rewards(environment, cost_weight, reward).mean(axis=0)
    return spell([Tier(int(tier)) for tier in EVERY_PATH[int(means.argmax())]])


def oracle(environment: RecordedEnvironment, cost_weight: float, reward: Reward) -> Walked:
    """The recorded path with the best reward, question by question; of equals the cheapest."""
    found = _rewards(environment, cost_weight, reward)
    rewards = np.where(environment.recorded, found, -np.inf)
    best = rewards == rewards.max(axis=1, keepdims=True)
    cheapest = np.where(best, environment.cost, np.inf).argmin(axis=1)
    return _taken("oracle", environment, cost_weight, reward, cheapest)


def random_path(environment: RecordedEnvironment, cost_weight: float, reward: Reward) -> Walked:
    """What to expect of a path drawn evenly: exact means, nothing is drawn."""
    return Walked(
        "random",
        cost_weight,
        environment.score.mean(axis=1),
        environment.cost.mean(axis=1),
        _rewards(environment, cost_weight, reward).mean(axis=1),
        ratios=_ratios(EVERY_PATH),
        recorded=float(environment.recorded.mean()),
    )


def _rewards(environment: RecordedEnvironment, cost_weight: float, reward: Reward) -> Floats:
    """Of all questions on all paths, float64 [n, 243]."""
    scores, costs = environment.score.ravel(), environment.cost.ravel()
    found = reward.evaluate(scores, costs, np.full(len(scores), cost_weight))
    return found.reshape(environment.score.shape)


def _taken(
    name: str,
    environment: RecordedEnvironment,
    cost_weight: float,
    reward: Reward,
    paths: NDArray[np.int64],
) -> Walked:
    """What these places in EVERY_PATH [n] come to, a question each."""
    at = (np.arange(len(paths)), paths)
    scores, costs = environment.score[at], environment.cost[at]
    return Walked(
        name=name,
        cost_weight=cost_weight,
        scores=scores,
        costs=costs,
        rewards=reward.evaluate(scores, costs, np.full(len(paths), cost_weight)),
        ratios=_ratios(EVERY_PATH[paths]),
        recorded=float(environment.recorded[at].mean()),
    )


def _ratios(tiers: NDArray[np.int64]) -> Floats:
    """Of int64 [n, modules], float64 [modules, tiers]."""
    return np.stack([(tiers == tier).mean(axis=0) for tier in Tier], axis=1)
