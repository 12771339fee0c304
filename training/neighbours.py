"""A classical router to be compared with: what did well on the most similar training questions."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from budgetmem.errors import InvalidInput
from budgetmem.tiers import Tier
from training import splits
from training.datasets.base import Dataset
from training.evaluation import yardstick
from training.policies import Observation
from training.ppo import greedy
from training.reward import Reward
from training.rollouts import outcomes
from training.rollouts.environment import RecordedEnvironment
from training.rollouts.live import Acting
from training.rollouts.paths import MODULE_COUNT
from training.rollouts.vectors import embedded

NEIGHBOURS = 20
"""Of a question. The square root of a few hundred training questions, rounded up."""


class NeighbourPolicy(nn.Module):
    """k nearest neighbours, by the cosine of the questions' vectors.

    `queries` is float32 [m, dimension]. `task` and `cost` are float32 [m, modules, tiers]: by how
    much a training question's task reward and cost reward were above its own mean where the module
    had the tier; NaN where that was not tried. A tier's logit is the mean over the neighbours that
    tried it, weighed by lambda as rewards are; it is 0, no better and no worse, if none did. No
    value is estimated.
    """

    def __init__(
        self, queries: Tensor, task: Tensor, cost: Tensor, count: int = NEIGHBOURS
    ) -> None:
        super().__init__()
        self.queries, self.task, self.cost = queries, task, cost
        self.count = min(count, len(queries))

    def evaluate(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Logits [n, tiers] and values [n], which are all 0."""
        nearest = (seen.query @ self.queries.T).topk(self.count).indices
        module = seen.module.unsqueeze(1)
        task, cost = (
            torch.nan_to_num(each[nearest, module].nanmean(1)) for each in (self.task, self.cost)
        )
        return task + seen.cost_weight.unsqueeze(1) * cost, torch.zeros(len(seen.module))


def nearest_router(file: Path, dataset: Dataset, strategy: str) -> Acting:
    """Of a file of outcomes, for the pipeline that serves.

    Raises InvalidInput for outcomes of other data or of another strategy, and as `outcomes.read`
    and `embedded`.
    """
    recorded = outcomes.read(file)
    splits.check(str(file), recorded)
    for name, wanted in (("sha256", dataset.sha256), ("strategy", strategy)):
        if recorded.setting[name] != wanted:
            raise InvalidInput(f"{file}.{name}", "is another than the one that is evaluated")
    environment = RecordedEnvironment(recorded, embedded(recorded, dataset))
    policy = fitted(environment, yardstick(environment))
    return Acting(
        partial(greedy, policy),
        environment.dimension,
        recorded.features,
        version=f"nearest-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}",
    )


def fitted(
    environment: RecordedEnvironment, reward: Reward, count: int = NEIGHBOURS
) -> NeighbourPolicy:
    """Of the recorded outcomes of training questions, by the scales of `reward`."""
    known = ~np.isnan(environment.score)
    scores, costs = environment.score[known], environment.cost[known]
    task = reward.evaluate(scores, costs, np.zeros(len(scores)))
    both = reward.evaluate(scores, costs, np.ones(len(scores)))
    return NeighbourPolicy(
        environment.queries, _effects(known, task), _effects(known, both - task), count
    )


def _effects(known: NDArray[np.bool_], values: NDArray[np.float64]) -> Tensor:
    """Float32 [m, modules, tiers] of the values of known paths, `known` bool [m, 3, 3, 3, 3, 3]."""
    whole = np.full(known.shape, np.nan)
    whole[known] = values
    paths = tuple(range(1, 1 + MODULE_COUNT))
    centred = whole - np.nanmean(whole, axis=paths, keepdims=True)
    effects = np.full((len(whole), MODULE_COUNT, len(Tier)), np.nan)
    for module in range(MODULE_COUNT):
        rows = np.moveaxis(centred, module + 1, 1).reshape(len(whole), len(Tier), -1)
        tried = (~np.isnan(rows)).sum(2)
        total = np.nansum(rows, axis=2)
        np.divide(total, tried, out=effects[:, module], where=tried > 0)
    return torch.from_numpy(effects).float()
