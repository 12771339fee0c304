"""The reward of an episode: an aligned task reward, plus lambda times a cost reward.

Formulas of the paper (arXiv 2602.06025, section on training):

    cost reward = 1 - clip((sqrt(c) - p5) / (p95 - p5), 0, 1)
    task reward = score * std(cost rewards) / std(scores)
    reward      = task reward + lambda * cost reward

p5 and p95 are percentiles of sqrt(c) over the last 2,000 costs c (USD), the deviations those of a
population over the last 20,000 episodes. A batch joins the history before any of it is rewarded.

With `paper=True` every number is that of the paper's implementation. Without it these differ, on
purpose:

- Costs that are all equal (p5 = p95) are rewarded 0.5, cheaper ones up to 1, dearer ones down
  to 0. The paper's implementation rewards equal and dearer ones alike with 0, so that a policy
  which has settled on one cost sees no harm in a dearer one.
- Where scores or cost rewards hardly vary, their ratio says nothing, and the task reward stays as
  it is. The paper's implementation floors each deviation at 1e-5: equal costs then all but erase
  the task reward, equal scores blow it up by as much as 50,000.
- A negative cost is an error, and so is an evaluation before any history. The paper's
  implementation takes 0 for the one, and percentiles of 0 and 1 for the other.

Histories belong to objects, none are global, and they are saved in checkpoints: a resumed run
gives the rewards of an unbroken one.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from budgetmem.errors import ConfigError, InvalidInput

Floats = NDArray[np.float64]
State = dict[str, Any]
"""What a checkpoint holds: JSON-able; a load gives back the very same numbers."""

PAPER_COST_WEIGHTS = (0.0, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9)
"""The lambdas of the paper."""

PERCENTILES = (5, 95)
EQUAL = 1e-6
"""Percentiles are the same if they differ by less than this share of the upper one."""
MARGIN = 0.1
"""Equal costs get a span of this share of their square root."""
FLOOR = 0.05
"""Least deviation that says something. Of values in [0, 1] it is at most 0.5, so that the task
reward is scaled by 0.1 to 10."""
PAPER_FLOOR = 1e-5


class CostNormalizer:
    """Costs to cost rewards in [0, 1], by the percentiles of the last `window` costs."""

    def __init__(self, window: int = 2000, *, paper: bool = False) -> None:
        self.window = _window(window)
        self.paper = paper
        self._costs: Floats = np.empty(0)

    @property
    def span(self) -> tuple[float, float]:
        """p5 and p95 of sqrt(USD): from here on the cost reward is 1, or 0.

        Raises InvalidInput if there is no history yet (in paper mode it is then 0 and 1).
        """
        if not self._costs.size:
            if self.paper:
                return 0.0, 1.0
            raise InvalidInput("costs_usd", "no history to compare with: reward a batch first")
        low, high = np.percentile(np.sqrt(self._costs), PERCENTILES).tolist()
        if high - low > EQUAL * high:
            return low, high
        if self.paper:
            return ((1 - MARGIN) * high, high) if high else (0.0, 1.0)
        margin = MARGIN * high or 1.0
        return high - margin, high + margin

    def rewards(self, costs_usd: ArrayLike) -> Floats:
        """Cost rewards float64 [n] of USD [n], which join the history first.

        Raises InvalidInput if a cost is not finite or negative.
        """
        self._costs = np.concatenate([self._costs, self._read(costs_usd)])[-self.window :]
        return self.evaluate(costs_usd)

    def evaluate(self, costs_usd: ArrayLike) -> Floats:
        """As `rewards`, but the history stays as it is, and must not be empty."""
        roots = np.sqrt(self._read(costs_usd))
        if not roots.size:
            return roots
        low, high = self.span
        normalised: Floats = np.clip((roots - low) / (high - low), 0, 1)
        return 1 - normalised

    def state_dict(self) -> State:
        return {"window": self.window, "paper": self.paper, "costs_usd": self._costs.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises ConfigError for a state of other settings, InvalidInput for a damaged one."""
        _check_settings(state, {"window": self.window, "paper": self.paper})
        self._costs = _history(state, "costs_usd", self.window, least=0.0)

    def _read(self, costs_usd: ArrayLike) -> Floats:
        least = -np.inf if self.paper else 0.0
        return np.maximum(_numbers("costs_usd", costs_usd, least), 0.0)


class RewardAligner:
    """Scales scores to the spread of the cost rewards, over the last `window` episodes.

    `floor` is the least standard deviation that counts. In paper mode a smaller one is replaced by
    it, otherwise nothing is scaled.
    """

    def __init__(self, window: int = 20_000, *, floor: float = FLOOR, paper: bool = False) -> None:
        if not 0 < floor < np.inf:
            raise ConfigError(f"floor is {floor}: it must be a number above 0")
        self.window = _window(window)
        self.floor = floor
        self.paper = paper
        self._scores: Floats = np.empty(0)
        self._cost_rewards: Floats = np.empty(0)

    @property
    def factor(self) -> float:
        """What a score is multiplied by; 1 without a history."""
        if not self._scores.size:
            return 1.0
        score, cost = float(self._scores.std()), float(self._cost_rewards.std())
        if self.paper:
            return max(cost, self.floor) / max(score, self.floor)
        return cost / score if min(cost, score) >= self.floor else 1.0

    def rewards(self, scores: ArrayLike, cost_rewards: ArrayLike) -> Floats:
        """Task rewards float64 [n] of scores [n]; both arrays join the history first.

        Raises InvalidInput if they differ in length or a number is not finite.
        """
        task, cost = _numbers("scores", scores), _numbers("cost_rewards", cost_rewards)
        _same_length("cost_rewards", cost, task)
        self._scores = np.concatenate([self._scores, task])[-self.window :]
        self._cost_rewards = np.concatenate([self._cost_rewards, cost])[-self.window :]
        return task * self.factor

    def evaluate(self, scores: ArrayLike) -> Floats:
        """As `rewards`, but the history stays as it is."""
        return _numbers("scores", scores) * self.factor

    def state_dict(self) -> State:
        return {
            **self._settings(),
            "scores": self._scores.tolist(),
            "cost_rewards": self._cost_rewards.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises ConfigError for a state of other settings, InvalidInput for a damaged one."""
        _check_settings(state, self._settings())
        scores = _history(state, "scores", self.window)
        cost_rewards = _history(state, "cost_rewards", self.window)
        _same_length("cost_rewards", cost_rewards, scores)
        self._scores, self._cost_rewards = scores, cost_rewards

    def _settings(self) -> State:
        return {"window": self.window, "floor": self.floor, "paper": self.paper}


class Reward:
    """The whole reward: task reward + lambda x cost reward, each episode with its own lambda.

    Without `alignment` the task reward is the score itself (the paper's ablation); its history is
    kept all the same. To compare checkpoints, evaluate them by one and the same Reward: the scales
    move as training goes on.
    """

    def __init__(self, *, alignment: bool = True, paper: bool = False) -> None:
        self.alignment = alignment
        self.normalizer = CostNormalizer(paper=paper)
        self.aligner = RewardAligner(floor=PAPER_FLOOR if paper else FLOOR, paper=paper)

    def rewards(self, scores: ArrayLike, costs_usd: ArrayLike, cost_weights: ArrayLike) -> Floats:
        """Rewards float64 [n] of scores [n], USD [n] and lambdas [n]; they join the history.

        Raises InvalidInput if lengths differ, a number is not finite, or a cost or lambda is
        negative; the history is then untouched.
        """
        task, costs, weights = _episodes(scores, costs_usd, cost_weights)
        cost = self.normalizer.rewards(costs)
        aligned = self.aligner.rewards(task, cost)
        return (aligned if self.alignment else task) + weights * cost

    def evaluate(self, scores: ArrayLike, costs_usd: ArrayLike, cost_weights: ArrayLike) -> Floats:
        """As `rewards`, but nothing joins the history, which must not be empty: for validation."""
        task, costs, weights = _episodes(scores, costs_usd, cost_weights)
        aligned = self.aligner.evaluate(task) if self.alignment else task
        return aligned + weights * self.normalizer.evaluate(costs)

    def state_dict(self) -> State:
        return {
            "alignment": self.alignment,
            "normalizer": self.normalizer.state_dict(),
            "aligner": self.aligner.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises ConfigError for a state of other settings, InvalidInput for a damaged one; the
        history is then untouched."""
        _check_settings(state, {"alignment": self.alignment})
        for part in ("normalizer", "aligner"):
            if not isinstance(state.get(part), Mapping):
                raise InvalidInput(part, "is missing: the checkpoint is damaged or of another kind")
        normalizer = copy(self.normalizer)
        normalizer.load_state_dict(state["normalizer"])
        self.aligner.load_state_dict(state["aligner"])
        self.normalizer = normalizer


def _episodes(
    scores: ArrayLike, costs_usd: ArrayLike, cost_weights: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    task = _numbers("scores", scores)
    # The normalizer says which costs it takes.
    costs = _numbers("costs_usd", costs_usd)
    weights = _numbers("cost_weights", cost_weights, 0.0)
    _same_length("costs_usd", costs, task)
    _same_length("cost_weights", weights, task)
    return task, costs, weights


def _numbers(field: str, values: ArrayLike, least: float = -np.inf) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise InvalidInput(field, f"has shape {numbers.shape}: give one number an episode")
    wrong = ~(np.isfinite(numbers) & (numbers >= least))
    if wrong.any():
        place = int(wrong.argmax())
        bound = "" if least == -np.inf else f" of at least {least:g}"
        raise InvalidInput(
            f"{field}[{place}]",
            f"is {numbers[place]}: it must be a finite number{bound}; leave failures out",
        )
    return numbers


def _same_length(field: str, numbers: Floats, scores: Floats) -> None:
    if len(numbers) != len(scores):
        raise InvalidInput(field, f"has {len(numbers)} numbers for {len(scores)} scores")


def _window(window: int) -> int:
    if window < 1:
        raise ConfigError(f"window is {window}: it must be at least 1")
    return window


def _check_settings(state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if name not in state:
            raise InvalidInput(name, "is missing: the checkpoint is damaged or of another kind")
        if state[name] != value:
            raise ConfigError(
                f"the checkpoint has {name} = {state[name]!r}, this run {value!r}: use the same"
            )


def _history(state: Mapping[str, Any], name: str, window: int, least: float = -np.inf) -> Floats:
    held = state.get(name)
    if not isinstance(held, list) or not all(type(each) in (int, float) for each in held):
        raise InvalidInput(name, "is no list of numbers: the checkpoint is damaged")
    numbers = _numbers(name, held, least)
    if len(numbers) > window:
        raise InvalidInput(name, f"has {len(numbers)} entries for a window of {window}")
    return numbers
