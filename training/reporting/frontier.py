"""Frontiers of cost and quality, and what a router gains on mixtures of constants at its own cost.

A service without a router may send a share of its questions, drawn at random, one way and the rest
another: its costs and scores are then any point between two constants. So a router that spends c is
compared with the best mixture that spends c, and, more mildly, with the best constant that spends
no more than it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.statistics import Mean, bootstrap

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """One way of answering, question by question: float64 [n], in the same order for all ways."""

    scores: Floats
    costs: Floats

    @property
    def point(self) -> tuple[float, float]:
        """Mean cost, mean score."""
        return float(self.costs.mean()), float(self.scores.mean())


@dataclass(frozen=True)
class Gain:
    """How much better one way scores than another: over questions, with a paired interval.

    `relative` is the difference divided by the other's mean score; None if that is 0.
    """

    score: Mean
    relative: float | None
    against: Mapping[str, float]


def best(ways: Mapping[str, Outcome]) -> str:
    """The name of the way that scores best; of equals, of the cheapest. There has to be one."""
    return max(ways, key=lambda name: (ways[name].point[1], -ways[name].point[0]))


Choice = Callable[[Mapping[str, Outcome], float], dict[str, float]]
"""The shares of the ways that something of a cost is compared with."""


def affordable(constants: Mapping[str, Outcome], cost: float) -> dict[str, float]:
    """The constant that scores best of those that cost no more, or the cheapest if all cost more.

    Raises ValueError without constants.
    """
    if not constants:
        raise ValueError("there are no constants to choose from")
    within = {name: each for name, each in constants.items() if each.point[0] <= cost}
    chosen = best(within) if within else min(constants, key=lambda name: constants[name].point[0])
    return {chosen: 1.0}


def mixture(constants: Mapping[str, Outcome], cost: float) -> dict[str, float]:
    """The shares of the constants whose mixture scores best at this mean cost: one or two of them.

    At a cost below all of them the cheapest alone, above all of them the best alone. Raises
    ValueError without constants.
    """
    if not constants:
        raise ValueError("there are no constants to mix")
    hull = _hull({name: each.point for name, each in constants.items()})
    costs = [point[0] for _, point in hull]
    place = int(np.searchsorted(costs, cost, side="right"))
    if place == 0:
        return {hull[0][0]: 1.0}
    if place == len(hull):
        return {hull[-1][0]: 1.0}
    (cheap, (low, _)), (dear, (high, _)) = hull[place - 1], hull[place]
    share = (cost - low) / (high - low)
    return {name: part for name, part in ((cheap, 1 - share), (dear, share)) if part > 0}


def frontier(ways: Mapping[str, Outcome]) -> list[str]:
    """Those that some mixture needs, from the cheapest to the best."""
    return [name for name, _ in _hull({name: each.point for name, each in ways.items()})]


def gain(one: Outcome, others: Mapping[str, Outcome], shares: Mapping[str, float]) -> Gain:
    """The score of one way minus that of a mixture of others, on the same questions."""
    return _gain(one.scores, _mixed(others, shares), shares)


def matched(one: Outcome, constants: Mapping[str, Outcome], choose: Choice = mixture) -> Gain:
    """The gain on the best mixture of constants that spends as much, or on another choice."""
    return gain(one, constants, choose(constants, one.point[0]))


def matched_mean(
    ones: Sequence[Outcome], constants: Mapping[str, Outcome], choose: Choice = mixture
) -> Gain:
    """The mean gain of several ways, each on what is chosen for its own cost."""
    bases = [_mixed(constants, choose(constants, one.point[0])) for one in ones]
    scores = np.mean([one.scores for one in ones], axis=0)
    return _gain(scores, np.mean(bases, axis=0), {})


def oracle(ways: Mapping[str, Outcome]) -> Outcome:
    """For every question the way that scores best; of equals the cheapest. It knows the answers."""
    scores = np.stack([each.scores for each in ways.values()])
    costs = np.stack([each.costs for each in ways.values()])
    best = scores == scores.max(axis=0)
    chosen = np.where(best, costs, np.inf).argmin(axis=0)
    at = (chosen, np.arange(scores.shape[1]))
    return Outcome(scores[at], costs[at])


def hypervolume(points: Sequence[tuple[float, float]], most: float) -> float:
    """The area under the points and all their mixtures up to a cost, as a share of the rectangle
    from there to cost 0 and score 1.

    What is dearer than the best point is no better than it, and below the cheapest there is
    nothing. (Zitzler and Thiele, 1998, in two dimensions; of the concave hull, because a share of
    the questions may be sent one way and the rest another.)
    """
    hull = [point for _, point in _hull({str(place): each for place, each in enumerate(points)})]
    if not hull or most <= 0:
        return 0.0
    area = 0.0
    ends = [*hull[1:], (max(most, hull[-1][0]), hull[-1][1])]
    for (cost, score), (end, reached) in zip(hull, ends, strict=True):
        width = min(end, most) - cost
        if width > 0:
            rise = (reached - score) * width / (end - cost)
            area += width * (score + rise / 2)
    return area / most


def _mixed(others: Mapping[str, Outcome], shares: Mapping[str, float]) -> Floats:
    found: Floats = np.sum([part * others[name].scores for name, part in shares.items()], axis=0)
    return found


def _gain(scores: Floats, others: Floats, shares: Mapping[str, float]) -> Gain:
    found = bootstrap(scores - others)
    base = float(np.mean(others))
    return Gain(found, found.mean / base if base > 0 else None, dict(shares))


def _hull(points: Mapping[str, tuple[float, float]]) -> list[tuple[str, tuple[float, float]]]:
    """The upper concave envelope, from the cheapest point to the best one, by cost."""
    ordered = sorted(points.items(), key=lambda item: (item[1][0], -item[1][1], item[0]))
    hull: list[tuple[str, tuple[float, float]]] = []
    for name, point in ordered:
        if hull and point[1] <= max(score for _, (_, score) in hull):
            continue
        while len(hull) > 1 and _slope(hull[-2][1], point) >= _slope(hull[-2][1], hull[-1][1]):
            hull.pop()
        hull.append((name, point))
    return hull


def _slope(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (other[1] - one[1]) / (other[0] - one[0]) if other[0] > one[0] else np.inf
