"""What PPO learns from: the decisions of episodes, with their returns and advantages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.policies import Observation


@dataclass(frozen=True)
class Batch:
    """What an update learns from: n episodes.

    `seen` has [modules * n] rows, of module 0 first; `masked` is bool [modules, n, tiers]; `tiers`
    int64 [modules, n]. `log_probs` [modules, n] are of the policy that acted, `values` its
    estimates and `returns` what they should have been, both [modules, n], or [1, n] of the filter
    alone. `advantages` are [modules, n] or, for all decisions of an episode, [1, n].
    """

    seen: Observation
    masked: Tensor
    tiers: Tensor
    log_probs: Tensor
    values: Tensor
    returns: Tensor
    advantages: Tensor

    def episodes(self, chosen: Tensor) -> Batch:
        """Some of the episodes, by number."""
        modules, count = self.tiers.shape
        rows = torch.arange(modules).unsqueeze(1) * count + chosen
        return Batch(
            seen=self.seen.rows(rows.flatten()),
            masked=self.masked[:, chosen],
            tiers=self.tiers[:, chosen],
            log_probs=self.log_probs[:, chosen],
            values=self.values[:, chosen],
            returns=self.returns[:, chosen],
            advantages=self.advantages[:, chosen],
        )


def returns_and_advantages(
    rewards: Tensor, values: Tensor, done: Tensor, gamma: float = 0.99, gae_lambda: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Of n experiences in a row, by generalised advantage estimation (arXiv 1506.02438).

    It is here for the parity tests: training itself has one reward, at an episode's end.

    All are [n], `done` is bool: nothing that follows counts. After the last the value is 0. As in
    the reference implementation, the value of an experience that is done is not looked ahead to
    (that paper's formula does); where all are done, as when it trains, this changes nothing.
    """
    advantages = torch.zeros_like(rewards)
    next_value, next_advantage = torch.zeros(()), torch.zeros(())
    for at in reversed(range(len(rewards))):
        goes_on = 1.0 - float(done[at])
        error = rewards[at] + gamma * goes_on * next_value - values[at]
        advantages[at] = error + gamma * gae_lambda * goes_on * next_advantage
        next_value, next_advantage = goes_on * values[at], advantages[at]
    return advantages + values, advantages


def normalised(advantages: Tensor, counted: Tensor | None = None) -> Tensor:
    """With mean 0 and standard deviation 1 (of the sample, n - 1) over those that are `counted`
    (None: all of them); with fewer than two of those as they are."""
    chosen = advantages if counted is None else advantages.expand_as(counted)[counted]
    if chosen.numel() < 2:
        return advantages
    return (advantages - chosen.mean()) / (chosen.std() + 1e-8)
