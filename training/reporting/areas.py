"""Areas under frontiers: how much each way of choosing offers over all budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.reporting.compared import Compared
from training.reporting.frontier import Outcome, hypervolume
from training.reporting.tables import Table
from training.statistics import Mean, interval, resampled

RESAMPLES = 2_000
"""Of the questions, for an area's interval: each takes the hull of every frontier."""

CONSTANTS, PLAIN = "constants", "plain retrieval"

Frontiers = Mapping[str, Sequence[Outcome]]


def areas(split: Compared) -> Table:
    """The area under the concave hull of each frontier, and how it compares, with intervals.

    A mixture may be drawn of any two points, so every frontier is taken with its mixtures: one that
    is nothing but a mixture of the constants, from the cheapest to the best, has the area of the
    constants. Routers of one label that were trained apart are a frontier together, and others are
    compared with it at the lambdas that both have.
    """
    apart = [label for label in split.seeing if len(split.figures.head.routers.get(label, ())) > 1]
    groups = _groups(split)
    rows = []
    for label in groups:
        area = _shares(groups, label, None)[0]
        cells = [_ratio(groups, label, CONSTANTS)]
        cells += ["" if label == other else _against(split, label, other) for other in apart]
        rows.append([label, f"{area:.3f}", *cells])
    columns = (f"of that of {label}, trained apart" for label in apart)
    return Table(("frontier", "area", "of that of the constants", *columns), rows)


def _groups(split: Compared) -> Frontiers:
    routers = {
        label: list(split.figures.outcomes(list(arms.values())).values())
        for label, arms in split.routers.items()
    }
    fixed = {CONSTANTS: list(split.mixtures.values()), PLAIN: list(split.plain.values())}
    return {label: ways for label, ways in {**routers, **fixed}.items() if ways}


def _against(split: Compared, label: str, other: str) -> str:
    """A router's area, of that of routers that were trained apart."""
    if label not in split.seeing:
        return ""
    one, apart = split.routers[label], split.routers[other]
    both = [weight for weight in one if weight in apart]
    if not both:
        return ""
    groups = {
        **_groups(split),
        label: [split.figures.outcome(one[weight]) for weight in both],
        other: [split.figures.outcome(apart[weight]) for weight in both],
    }
    return _ratio(groups, label, other)


def _ratio(groups: Frontiers, one: str, other: str) -> str:
    """Of two areas, with the interval over resampled questions, the same ones for both."""
    if other not in groups:
        return ""
    whole = _shares(groups, one, None)[0], _shares(groups, other, None)[0]
    if not whole[1]:
        return ""
    count = len(groups[one][0].scores)
    drawn = resampled(count, RESAMPLES)
    found, base = (_shares(groups, name, drawn) for name in (one, other))
    low, high = interval(found[base > 0] / base[base > 0])
    return str(Mean(whole[0] / whole[1], low, high, count))


def _shares(groups: Frontiers, label: str, drawn: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """The area of one frontier [r], in r resamples of the questions; of all once if None.

    It ends at the cheapest and at the dearest of all ways, and at no score.
    """
    means = [_means(one.costs, drawn) for ways in groups.values() for one in ways]
    ends = zip(np.min(means, axis=0).tolist(), np.max(means, axis=0).tolist(), strict=True)
    costs = np.stack([_means(one.costs, drawn) for one in groups[label]], axis=1)
    scores = np.stack([_means(one.scores, drawn) for one in groups[label]], axis=1)
    return np.array(
        [
            hypervolume(list(zip(cost, score, strict=True)), *end)
            for cost, score, end in zip(costs.tolist(), scores.tolist(), ends, strict=True)
        ]
    )


def _means(values: NDArray[np.float64], drawn: NDArray[np.int64] | None) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (values[None] if drawn is None else values[drawn]).mean(axis=1)
    return found
