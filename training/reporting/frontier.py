"""Frontiers of cost and quality, and what a router gains on mixtures of constants at its own cost.

A service without a router may send a share of its questions, drawn at random, one way and the rest
another: its costs and scores are then any point between two constants. So a router that spends c is
compared with the best mixture that spends c, and, more mildly, with the best constant that spends
no more than it.

What questions cost varies, so which mixture spends c does too: an interval takes a question's
difference in score less what its difference in cost is worth along the frontier.
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


@dataclass(frozen=True)
class Base:
    """What something of a cost is compared with: shares of ways, and what one more USD would buy
    there, in score."""

    shares: Mapping[str, float]
    slope: float = 0.0


Choice = Callable[[Mapping[str, Outcome], float], Base]


def affordable(constants: Mapping[str, Outcome], cost: float) -> Base:
    """The constant that scores best of those that cost no more, or the cheapest if all cost more.

    Raises ValueError without constants.
    """
    if not constants:
        raise ValueError("there are no constants to choose from")
    within = {name: each for name, each in constants.items() if each.point[0] <= cost}
    chosen = best(within) if within else min(constants, key=lambda name: constants[name].point[0])
    return Base({chosen: 1.0})


def mixture(constants: Mapping[str, Outcome], cost: float) -> Base:
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
        return Base({hull[0][0]: 1.0})
    if place == len(hull):
        return Base({hull[-1][0]: 1.0})
    (cheap, (low, worse)), (dear, (high, better)) = hull[place - 1], hull[place]
    share = (cost - low) / (high - low)
    shares = {name: part for name, part in ((cheap, 1 - share), (dear, share)) if part > 0}
    return Base(shares, (better - worse) / (high - low))


def frontier(ways: Mapping[str, Outcome]) -> list[str]:
    """Those that some mixture needs, from the cheapest to the best."""
    return [name for name, _ in _hull({name: each.point for name, each in ways.items()})]


def gain(one: Outcome, others: Mapping[str, Outcome], base: Base) -> Gain:
    """The score of one way minus that of a mixture of others, on the same questions."""
    return _gain([one], [_mixed(others, base.shares)], [base], base.shares)


def matched(one: Outcome, constants: Mapping[str, Outcome], choose: Choice = mixture) -> Gain:
    """The gain on the best mixture of constants that spends as much, or on another choice."""
    return gain(one, constants, choose(constants, one.point[0]))


def matched_mean(
    ones: Sequence[Outcome], constants: Mapping[str, Outcome], choose: Choice = mixture
) -> Gain:
    """The mean gain of several ways, each on what is chosen for its own cost."""
    bases = [choose(constants, one.point[0]) for one in ones]
    return _gain(ones, [_mixed(constants, base.shares) for base in bases], bases, {})


def oracle(ways: Mapping[str, Outcome]) -> Outcome:
    """For every question the way that scores best; of equals the cheapest. It knows the answers."""
    scores = np.stack([each.scores for each in ways.values()])
    costs = np.stack([each.costs for each in ways.values()])
    best = scores == scores.max(axis=0)
    chosen = np.where(best, costs, np.inf).argmin(axis=0)
    at = (chosen, np.arange(scores.shape[1]))
    return Outcome(scores[at], costs[at])


def hypervolume(points: Sequence[tuple[float, float]], least: float, most: float) -> float:
    """The area under the points and all their mixtures between two costs, over the logarithm of
    the cost, as a share of the rectangle down to a score of 0 and up to one of 1.

    What is dearer than the best point is no better than it, and below the cheapest there is
    nothing. (Zitzler and Thiele, 1998, in two dimensions; of the concave hull, because a share of
    the questions may be sent one way and the rest another. Over the logarithm, since the dearest
    way may cost ten times what the rest does: otherwise next to all of the area were beside it.)
    """
    hull = [point for _, point in _hull({str(place): each for place, each in enumerate(points)})]
    if not hull or not 0 < least < most:
        return 0.0
    area = 0.0
    ends = [*hull[1:], (np.inf, hull[-1][1])]
    for (cost, score), (end, reached) in zip(hull, ends, strict=True):
        begin, stop = max(cost, least), min(end, most)
        if begin < stop:
            slope = (reached - score) / (end - cost)
            area += (score - slope * cost) * np.log(stop / begin) + slope * (stop - begin)
    return float(area / np.log(most / least))


def _mixed(others: Mapping[str, Outcome], shares: Mapping[str, float]) -> Outcome:
    def sum_of(values: Callable[[Outcome], Floats]) -> Floats:
        found: Floats = np.sum([part * values(others[way]) for way, part in shares.items()], axis=0)
        return found

    return Outcome(sum_of(lambda way: way.scores), sum_of(lambda way: way.costs))


def _gain(
    ones: Sequence[Outcome],
    others: Sequence[Outcome],
    bases: Sequence[Base],
    told: Mapping[str, float],
) -> Gain:
    """The mean of paired gains. Where costs match, what differing costs are worth has a mean of 0,
    and changes the interval alone."""
    differences = []
    for one, other, base in zip(ones, others, bases, strict=True):
        dearer = one.costs - other.costs
        differences.append(one.scores - other.scores - base.slope * (dearer - dearer.mean()))
    found = bootstrap(np.mean(differences, axis=0))
    score = float(np.mean([other.scores for other in others]))
    return Gain(found, found.mean / score if score > 0 else None, dict(told))


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
