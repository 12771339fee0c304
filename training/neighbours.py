"""A classical router to be compared with: what did well on the most similar training questions."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from budgetmem.tiers import Tier
from training.policies import Observation
from training.reward import Reward
from training.rollouts.environment import RecordedEnvironment
from training.rollouts.paths import EVERY_PATH, MODULE_COUNT

NEIGHBOURS = 20
"""Of a question. The square root of a few hundred training questions, rounded up."""


class NeighbourPolicy(nn.Module):
    """k nearest neighbours, by the cosine of the questions' vectors.

    `queries` is float32 [m, dimension]. `task` and `cost` are float32 [m, modules, tiers]: by how
    much a training question's task reward and cost reward are above its own mean where the module
    has the tier. A tier's logit is the mean over the neighbours, weighed by lambda as rewards are.
    No value is estimated.
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
        task, cost = (each[nearest, module].mean(1) for each in (self.task, self.cost))
        return task + seen.cost_weight.unsqueeze(1) * cost, torch.zeros(len(seen.module))


def fitted(
    environment: RecordedEnvironment, reward: Reward, count: int = NEIGHBOURS
) -> NeighbourPolicy:
    """Of the outcomes of training questions, by the scales of `reward`."""
    scores, costs = environment.score.ravel(), environment.cost.ravel()
    task = reward.evaluate(scores, costs, np.zeros(len(scores)))
    both = reward.evaluate(scores, costs, np.ones(len(scores)))
    shape = environment.score.shape
    return NeighbourPolicy(
        environment.queries,
        _effects(task.reshape(shape)),
        _effects((both - task).reshape(shape)),
        count,
    )


def _effects(values: NDArray[np.float64]) -> Tensor:
    """Of values [m, 243], by how much those of the paths on which a module has a tier are above the
    mean of all: float32 [m, modules, tiers]."""
    centred = values - values.mean(axis=1, keepdims=True)
    effects = [
        [centred[:, EVERY_PATH[:, module] == tier].mean(axis=1) for tier in Tier]
        for module in range(MODULE_COUNT)
    ]
    return torch.from_numpy(np.moveaxis(np.array(effects), 2, 0)).float()
