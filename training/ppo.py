"""Proximal policy optimisation (arXiv 1707.06347) of the tier decisions of episodes.

An episode is one question: a decision for each module, and one reward at its end. In the paper's
mode (`PAPER`) its decisions share one ratio and the filter's value estimate; else every decision
has a ratio, a value and an advantage of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from budgetmem.errors import ConfigError, InvalidInput
from training.batch import Batch, normalised
from training.policies import Observation
from training.rollouts.environment import Episodes

_POSITIVE = ("learning_rate", "adam_epsilon", "clip", "epochs", "max_grad_norm")
_NOT_NEGATIVE = ("value_coefficient", "entropy_coefficient")
_POSITIVE_OR_NONE = ("value_clip", "minibatch", "target_kl")
_CHOICES = {"ratio": ("decision", "joint"), "critic": ("decision", "filter")}


class Policy(Protocol):
    """A network that decides: `training.policies.ConditionedPolicy`, or the paper's ActorCritic."""

    def evaluate(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Logits [n, tiers] and values [n] of n decisions."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def train(self, mode: bool = True) -> object: ...

    def eval(self) -> object: ...


@dataclass(frozen=True)
class PPOConfig:
    """How a policy learns. Numbers are the paper's; `PAPER` has its other choices too.

    Raises ConfigError naming a field that is out of range.

    learning_rate, adam_epsilon: of Adam.
    clip: how far a ratio may go from 1 before its gradient stops.
    value_clip: how far a value may go from its old estimate (None: any distance).
    value_coefficient, entropy_coefficient: weights of both terms in the loss.
    epochs: passes over the episodes of an update.
    minibatch: episodes a gradient step, shuffled in every epoch (None: all of them in one).
    max_grad_norm: gradients are scaled down to this norm.
    ratio: one for each decision, or one for an episode (the product over its decisions), with the
        advantage of its first decision.
    critic: a value for each decision, or the filter's for the whole episode.
    normalise: whether advantages are brought to mean 0 and deviation 1 over the update.
    target_kl: no further epoch after one whose mean approximate KL divergence is above it.
    """

    learning_rate: float = 3e-4
    adam_epsilon: float = 1e-5
    clip: float = 0.2
    value_clip: float | None = None
    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.01
    epochs: int = 4
    minibatch: int | None = None
    max_grad_norm: float = 0.5
    ratio: Literal["decision", "joint"] = "decision"
    critic: Literal["decision", "filter"] = "decision"
    normalise: bool = True
    target_kl: float | None = None

    def __post_init__(self) -> None:
        values = vars(self)
        # Written so that NaN is refused too.
        bad = [name for name in _POSITIVE if not values[name] > 0]
        bad += [name for name in _NOT_NEGATIVE if not values[name] >= 0]
        given = [name for name in _POSITIVE_OR_NONE if values[name] is not None]
        bad += [name for name in given if not values[name] > 0]
        bad += [name for name, known in _CHOICES.items() if values[name] not in known]
        if bad:
            wrong = ", ".join(f"{name} = {values[name]!r}" for name in bad)
            raise ConfigError(f"PPO cannot work with {wrong}: see PPOConfig for what they mean")


PAPER = PPOConfig(value_clip=0.2, ratio="joint", critic="filter")
"""What the paper does, on the whole batch at once: an update then agrees with the reference
implementation, and the ablation's "the paper's form" takes its choices from here."""


class PPO:
    """Updates a policy. `generator` draws minibatches and dropout, nothing else does.

    Outside of an update the policy is in evaluation mode.
    """

    def __init__(self, policy: Policy, config: PPOConfig, generator: torch.Generator) -> None:
        self.policy = policy
        self.config = config
        self.generator = generator
        self.optimizer = torch.optim.Adam(
            policy.parameters(), lr=config.learning_rate, eps=config.adam_epsilon
        )
        policy.eval()

    def update(
        self, episodes: Episodes, log_probs: Tensor, values: Tensor, rewards: Tensor
    ) -> dict[str, float]:
        """Learns from n episodes that the policy has just walked; see `learn` for the metrics.

        `log_probs` and `values` [modules, n] are those of `behaviour`, `rewards` [n] came at the
        episodes' ends, so that the return of every decision is the reward. Raises InvalidInput for
        other shapes or numbers that are not finite.
        """
        tiers = episodes.tiers
        _check("log_probs", log_probs, tiers.shape)
        _check("values", values, tiers.shape)
        _check("rewards", rewards, tiers.shape[1:])
        kept = values[:1] if self.config.critic == "filter" else values
        returns = rewards.to(kept.dtype).expand_as(kept)
        advantages = returns - kept
        joint = self.config.ratio == "joint"
        if joint:
            advantages = advantages[:1]
        if self.config.normalise:
            advantages = normalised(advantages, None if joint else _several(episodes.masked))
        return self.learn(
            Batch(
                seen=episodes.seen,
                masked=episodes.masked,
                tiers=tiers,
                log_probs=log_probs,
                values=kept,
                returns=returns,
                advantages=advantages,
            )
        )

    def learn(self, batch: Batch) -> dict[str, float]:
        """One update from returns and advantages that are taken as they are.

        Gives the means over all gradient steps of `policy_loss`, `value_loss`, `entropy` (nats a
        decision, over the tiers that were allowed), `clip_fraction` (of the ratios) and `grad_norm`
        (before clipping); `approx_kl` (the mean of ratio - 1 - log ratio) over the last epoch; and
        `explained_variance` of the returns by the values after the update, 0 if all returns are
        equal. Nothing at all ({}) for no episodes.

        Of a decision with one open tier nothing can be learned but its value, and a walk of planned
        paths has many: entropy and, with a ratio for each decision, policy loss, approximate KL
        divergence and clip fraction are means over the decisions with more than one (0 if there is
        none). So `value_coefficient` and `entropy_coefficient` weigh the same however many are
        forced: against a mean over all decisions the value loss, which remains one, weighs less.
        With a joint ratio an episode counts as a whole, forced or not; there the entropy weighs
        more.
        """
        count = batch.tiers.shape[1]
        if count == 0:
            return {}
        steps: list[dict[str, float]] = []
        divergence = 0.0
        self.policy.train()
        with _dropout_from(self.generator):
            for _ in range(self.config.epochs):
                epoch = [self._step(batch.episodes(rows)) for rows in self._minibatches(count)]
                steps += epoch
                divergence = _mean(epoch)["approx_kl"]
                if self.config.target_kl is not None and divergence > self.config.target_kl:
                    break
        self.policy.eval()
        with torch.no_grad():
            _, values = self.policy.evaluate(batch.seen)
        left = batch.returns - values.view(batch.tiers.shape)[: len(batch.returns)]
        variance = float(batch.returns.var(correction=0))
        explained = 1 - float(left.var(correction=0)) / variance if variance > 0 else 0.0
        return {**_mean(steps), "approx_kl": divergence, "explained_variance": explained}

    def state_dict(self) -> dict[str, Any]:
        """A copy of the state of optimizer and generator. The policy's own is not in it."""
        return {
            # Its tensors are the live ones, and load_state_dict takes those that it is given.
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on exactly where `state_dict` was taken. Raises InvalidInput if it does not fit."""
        if missing := {"optimizer", "generator"} - state.keys():
            raise InvalidInput("state", f"lacks {', '.join(sorted(missing))}")
        try:
            self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        except ValueError as exc:
            raise InvalidInput("state", f"is of another policy: {exc}") from exc
        self.generator.set_state(state["generator"])

    def _minibatches(self, count: int) -> Sequence[Tensor]:
        size = self.config.minibatch
        if size is None or size >= count:
            return (torch.arange(count),)
        return torch.split(torch.randperm(count, generator=self.generator), size)

    def _step(self, batch: Batch) -> dict[str, float]:
        config = self.config
        logits, values = self.policy.evaluate(batch.seen)
        distribution = _log_softmax(logits.view(batch.masked.shape), batch.masked)
        log_ratio = _of_tiers(distribution, batch.tiers) - batch.log_probs
        joint = config.ratio == "joint"
        if joint:
            log_ratio = log_ratio.sum(0, keepdim=True)
        several = _several(batch.masked)
        counted = torch.ones_like(log_ratio, dtype=torch.bool) if joint else several
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
        gain = torch.minimum(ratio * batch.advantages, clipped * batch.advantages)
        policy_loss = -_mean_of(gain, counted)
        value_loss = self._value_loss(values.view(batch.tiers.shape)[: len(batch.values)], batch)
        entropy = _mean_of(_entropy(distribution, batch.masked), several)
        loss = (
            policy_loss
            + config.value_coefficient * value_loss
            - config.entropy_coefficient * entropy
        )
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), config.max_grad_norm)
        self.optimizer.step()
        return {
            "policy_loss": policy_loss.item(),
            "value_loss": value_loss.item(),
            "entropy": entropy.item(),
            "approx_kl": _mean_of(ratio - 1 - log_ratio, counted).item(),
            "clip_fraction": _mean_of(((ratio - 1).abs() > config.clip).float(), counted).item(),
            "grad_norm": norm.item(),
        }

    def _value_loss(self, values: Tensor, batch: Batch) -> Tensor:
        error = (values - batch.returns) ** 2
        limit = self.config.value_clip
        if limit is not None:
            near = batch.values + (values - batch.values).clamp(-limit, limit)
            error = torch.maximum(error, (near - batch.returns) ** 2)
        return error.mean()


@dataclass(frozen=True)
class Sampler:
    """A Chooser that draws tiers as probable as the policy has them, from `generator`.

    The policy must not be in training mode: its dropout would not come from `generator`.
    """

    policy: Policy
    generator: torch.Generator

    def __call__(self, seen: Observation, masked: Tensor) -> Tensor:
        """Tiers of n decisions, int64 [n]; `masked` is bool [n, tiers].

        Raises InvalidInput if a decision has no tier left.
        """
        distribution, _ = _evaluate(self.policy, seen, masked)
        return torch.multinomial(distribution.exp(), 1, generator=self.generator).squeeze(1)

    def seeded(self, seed: int) -> Sampler:
        """The same policy with a generator of its own: what it draws depends on no other draw."""
        return Sampler(self.policy, torch.Generator().manual_seed(seed))


def greedy(policy: Policy, seen: Observation, masked: Tensor) -> Tensor:
    """The most probable tier of n decisions that is not masked, int64 [n]. Raises as Sampler."""
    return _evaluate(policy, seen, masked)[0].argmax(1)


def behaviour(policy: Policy, episodes: Episodes) -> tuple[Tensor, Tensor]:
    """Log-probabilities and values, both [modules, n], of decisions that the policy took.

    The same as when they were taken as long as the policy has not learned since; so a Chooser need
    not keep them. They are without dropout.
    """
    shape = episodes.tiers.shape
    distribution, values = _evaluate(policy, episodes.seen, episodes.masked.flatten(0, 1))
    return _of_tiers(distribution, episodes.tiers.flatten()).view(shape), values.view(shape)


def _evaluate(policy: Policy, seen: Observation, masked: Tensor) -> tuple[Tensor, Tensor]:
    if bool(masked.all(1).any()):
        raise InvalidInput("masked", "every tier of a decision is masked: leave one at least")
    with torch.no_grad():
        logits, values = policy.evaluate(seen)
        return _log_softmax(logits, masked), values


def _several(masked: Tensor) -> Tensor:
    """Of bool [..., tiers], whether there was a choice."""
    return (~masked).sum(-1) > 1


def _log_softmax(logits: Tensor, masked: Tensor) -> Tensor:
    return logits.masked_fill(masked, -torch.inf).log_softmax(-1)


def _of_tiers(distribution: Tensor, tiers: Tensor) -> Tensor:
    return distribution.gather(-1, tiers.unsqueeze(-1)).squeeze(-1)


def _entropy(distribution: Tensor, masked: Tensor) -> Tensor:
    # A masked tier adds 0, and not 0 times infinity.
    return -(distribution.exp() * distribution.masked_fill(masked, 0.0)).sum(-1)


def _mean_of(values: Tensor, counted: Tensor) -> Tensor:
    """The mean of those that count; without any 0, of which a gradient can be taken too."""
    chosen = values[counted]
    return chosen.mean() if len(chosen) else 0 * values.sum()


def _mean(steps: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}


def _check(field: str, given: Tensor, shape: torch.Size) -> None:
    if given.shape != shape:
        raise InvalidInput(field, f"has shape {list(given.shape)} where {list(shape)} is due")
    if not bool(given.isfinite().all()):
        raise InvalidInput(field, "must be finite: was a masked tier taken?")


@contextmanager
def _dropout_from(generator: torch.Generator) -> Iterator[None]:
    """Dropout draws from torch's default generator: seeds it from ours, and puts it back."""
    with torch.random.fork_rng(devices=[]):
        seed = int(torch.randint(2**62, (), generator=generator))
        torch.default_generator.manual_seed(seed)
        yield
