"""The policies that PPO trains: which tier each module of a query gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from budgetmem.modules import MODULES
from budgetmem.tiers import Tier

CLIP = 5.0
"""Standardised features beyond so many standard deviations are cut there."""


@dataclass(frozen=True)
class Observation:
    """What decisions are made on, a row each.

    `query` and `state` are float32 [n, dimension], `features` float32 [n, features], `module` int64
    [n] (the place in MODULES), `cost_weight` float32 [n]: the lambda of the episode.
    """

    query: Tensor
    state: Tensor
    features: Tensor
    module: Tensor
    cost_weight: Tensor

    def rows(self, chosen: Tensor) -> Observation:
        """Some rows of it."""
        return Observation(
            self.query[chosen],
            self.state[chosen],
            self.features[chosen],
            self.module[chosen],
            self.cost_weight[chosen],
        )

    @staticmethod
    def join(parts: Sequence[Observation]) -> Observation:
        """One below the other."""
        return Observation(
            torch.cat([part.query for part in parts]),
            torch.cat([part.state for part in parts]),
            torch.cat([part.features for part in parts]),
            torch.cat([part.module for part in parts]),
            torch.cat([part.cost_weight for part in parts]),
        )


@dataclass(frozen=True)
class PolicyShape:
    """The sizes of a ConditionedPolicy, and what it looks at.

    `dimension` is the encoder's, `features` how many there are. Without `embeddings` it sees the
    features alone; a `blind` one sees lambda and the module alone, and so asks every question the
    same way. `dropout` is of the embeddings' projection. `slope` multiplies what lambda takes from
    the logits: with a larger one a policy learns sooner to tell lambdas apart.
    """

    dimension: int
    features: int
    projection: int = 32
    hidden: int = 64
    embeddings: bool = True
    blind: bool = False
    dropout: float = 0.0
    slope: float = 4.0

    @property
    def sees_embeddings(self) -> bool:
        return self.embeddings and not self.blind


class ConditionedPolicy(nn.Module):
    """One policy for all modules and every lambda.

    The logits of a decision are `base - cost_weight * slope`, where both come from the observation
    and the slope grows with the tier: in one and the same state, a larger lambda never makes a
    dearer tier more probable in comparison with a cheaper one. The value is an estimate for each
    decision, of the reward at the episode's end.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: PolicyShape) -> None:
        super().__init__()
        self.shape = shape
        modules, tiers = len(MODULES), len(Tier)
        self.register_buffer("mean", torch.zeros(shape.features))
        self.register_buffer("scale", torch.ones(shape.features))
        self.project = nn.Sequential(
            nn.Linear(2 * shape.dimension, shape.projection), nn.Tanh(), nn.Dropout(shape.dropout)
        )
        seen = shape.features + (shape.projection if shape.sees_embeddings else 0)
        self.trunk = nn.Sequential(
            nn.Linear(seen, shape.hidden),
            nn.Tanh(),
            nn.Linear(shape.hidden, shape.hidden),
            nn.Tanh(),
        )
        self.base = nn.Linear(shape.hidden, modules * tiers)
        self.steps = nn.Linear(shape.hidden, modules * (tiers - 1))
        self.critic = nn.Sequential(
            nn.Linear(shape.hidden + 1, shape.hidden), nn.Tanh(), nn.Linear(shape.hidden, modules)
        )
        for layer in (self.base, self.critic[-1]):
            assert isinstance(layer, nn.Linear)
            nn.init.orthogonal_(layer.weight, 0.01)
            nn.init.zeros_(layer.bias)

    def standardise(self, features: Tensor) -> None:
        """Takes mean and deviation of float32 [n, features]; constant features stay as they are."""
        self.mean.copy_(features.mean(0))
        deviation = features.std(0, correction=0)
        self.scale.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def forward(
        self, query: Tensor, state: Tensor, features: Tensor, module: Tensor, cost_weight: Tensor
    ) -> Tensor:
        """Logits, float32 [n, tiers]."""
        return self._logits(self._see(query, state, features), module, cost_weight)

    def evaluate(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Logits [n, tiers] and values [n]."""
        hidden = self._see(seen.query, seen.state, seen.features)
        known = torch.cat([hidden, seen.cost_weight.unsqueeze(1)], 1)
        values = _own(self.critic(known).unsqueeze(2), seen.module)[:, 0]
        return self._logits(hidden, seen.module, seen.cost_weight), values

    def _see(self, query: Tensor, state: Tensor, features: Tensor) -> Tensor:
        seen = torch.clamp((features - self.mean) / self.scale, -CLIP, CLIP)
        if self.shape.blind:
            # Not left out: the exporter would drop an input that nothing reads.
            seen = 0.0 * seen
        if self.shape.sees_embeddings:
            seen = torch.cat([seen, self.project(torch.cat([query, state], 1))], 1)
        hidden: Tensor = self.trunk(seen)
        return hidden

    def _logits(self, hidden: Tensor, module: Tensor, cost_weight: Tensor) -> Tensor:
        tiers = len(Tier)
        base = _own(self.base(hidden).unflatten(1, (-1, tiers)), module)
        steps = _own(self.steps(hidden).unflatten(1, (-1, tiers - 1)), module)
        slope = nn.functional.pad(torch.cumsum(nn.functional.softplus(steps), 1), (1, 0))
        return base - self.shape.slope * cost_weight.unsqueeze(1) * slope


def _own(of_modules: Tensor, module: Tensor) -> Tensor:
    """Of [n, modules, k], the [n, k] of each row's own module."""
    place = module.view(-1, 1, 1).expand(-1, 1, of_modules.shape[2])
    return of_modules.gather(1, place)[:, 0]
