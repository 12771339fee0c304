"""What policies come to on recorded outcomes, next to what they are to be compared with.

A greedy walk takes the most probable tier that is recorded. Which tiers are recorded depends on
the order in which the modules of the middle stage choose, so results are means over several orders:
the same for every policy and lambda.
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
from training.rollouts.paths import MODULE_COUNT, spell
from training.statistics import bootstrap

Floats = NDArray[np.float64]

ORDERS_SEED = 0


@dataclass(frozen=True)
class Walked:
    """What a way of choosing came to at one lambda, question by question.

    `scores` (in [0, 1]), `costs` (USD) and `rewards` are float64 [n]; `ratios` float64 [modules,
    tiers] says how often each module got each tier, rows sum to 1.
    """

    name: str
    cost_weight: float
    scores: Floats
    costs: Floats
    rewards: Floats
    ratios: Floats

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
            "score": bootstrap(self.scores).report(),
            "cost_usd": bootstrap(self.costs).report(),
            "reward": bootstrap(self.rewards).report(),
            "tiers": {
                module: dict(zip((tier.label for tier in Tier), row.tolist(), strict=True))
                for module, row in zip(MODULES, self.ratios, strict=True)
            },
        }


@dataclass(frozen=True)
class _Leaves:
    """All 243 paths: float64 [n, 243], NaN where a path was not recorded for a question."""

    scores: Floats
    costs: Floats
    rewards: Floats

    @property
    def known(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.scores)


def yardstick(
    environment: RecordedEnvironment, *, alignment: bool = True, paper: bool = False
) -> Reward:
    """A Reward whose scales come from recorded outcomes, so that they do not move in training.

    From as many of them as its shortest window holds, drawn evenly.
    """
    reward = Reward(alignment=alignment, paper=paper)
    known = np.flatnonzero(~np.isnan(environment.score))
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
    orders: int = 6,
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

    random = np.random.default_rng(ORDERS_SEED)
    walks = [environment.walk(places, weights, choose, random) for _ in range(orders)]
    scores = np.mean([walk.scores for walk in walks], axis=0)
    costs = np.mean([walk.costs for walk in walks], axis=0)
    rewards = np.mean([reward.evaluate(walk.scores, walk.costs, weights) for walk in walks], axis=0)
    tiers = np.stack([walk.tiers.numpy() for walk in walks])
    found = []
    for place, weight in enumerate(cost_weights):
        rows = slice(place * count, (place + 1) * count)
        ratios = _ratios(np.moveaxis(tiers[:, :, rows], 1, 0).reshape(MODULE_COUNT, -1))
        found.append(Walked(name, weight, scores[rows], costs[rows], rewards[rows], ratios))
    return found


def constants(environment: RecordedEnvironment, cost_weight: float, reward: Reward) -> list[Walked]:
    """Every path that was recorded for all questions, taken for all of them. Named as spelled."""
    leaves = _leaves(environment, cost_weight, reward)
    every = np.flatnonzero(leaves.known.all(axis=0))
    return [
        _taken(spell_place(place), cost_weight, leaves, np.full(len(leaves.scores), place))
        for place in every.tolist()
    ]


def oracle(environment: RecordedEnvironment, cost_weight: float, reward: Reward) -> Walked:
    """The recorded path with the best reward, question by question; of equals the cheapest."""
    leaves = _leaves(environment, cost_weight, reward)
    rewards = np.where(leaves.known, leaves.rewards, -np.inf)
    best = rewards == rewards.max(axis=1, keepdims=True)
    cheapest = np.where(best, leaves.costs, np.inf).argmin(axis=1)
    return _taken("oracle", cost_weight, leaves, cheapest)


def random_path(environment: RecordedEnvironment, cost_weight: float, reward: Reward) -> Walked:
    """What to expect of a recorded path drawn evenly: exact means, nothing is drawn."""
    leaves = _leaves(environment, cost_weight, reward)
    share = leaves.known / leaves.known.sum(axis=1, keepdims=True)
    tiers = _tiers_of_places(np.arange(leaves.known.shape[1]))
    of_path = share.mean(axis=0)
    ratios = np.array([[of_path[row == tier].sum() for tier in Tier] for row in tiers])
    scores, costs, rewards = (
        np.where(leaves.known, values * share, 0.0).sum(axis=1)
        for values in (leaves.scores, leaves.costs, leaves.rewards)
    )
    return Walked("random", cost_weight, scores, costs, rewards, ratios)


def spell_place(place: int) -> str:
    """The letters of one of the 243 paths, counted as `RecordedEnvironment.score` is laid out."""
    return spell([Tier(int(tier)) for tier in _tiers_of_places(np.array([place]))[:, 0]])


def _leaves(environment: RecordedEnvironment, cost_weight: float, reward: Reward) -> _Leaves:
    count = len(environment.questions)
    scores = environment.score.reshape(count, -1)
    costs = environment.cost.reshape(count, -1)
    known = ~np.isnan(scores)
    rewards = np.full_like(scores, np.nan)
    weights = np.full(int(known.sum()), cost_weight)
    rewards[known] = reward.evaluate(scores[known], costs[known], weights)
    return _Leaves(scores, costs, rewards)


def _taken(name: str, cost_weight: float, leaves: _Leaves, chosen: NDArray[np.int64]) -> Walked:
    at = (np.arange(len(chosen)), chosen)
    return Walked(
        name=name,
        cost_weight=cost_weight,
        scores=leaves.scores[at],
        costs=leaves.costs[at],
        rewards=leaves.rewards[at],
        ratios=_ratios(_tiers_of_places(chosen)),
    )


def _tiers_of_places(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Int64 [modules, n]."""
    return np.stack(np.unravel_index(places, (len(Tier),) * MODULE_COUNT))


def _ratios(tiers: NDArray[np.int64]) -> Floats:
    """Of int64 [modules, n], float64 [modules, tiers]."""
    return np.stack([(tiers == tier).mean(axis=1) for tier in Tier], axis=1)
