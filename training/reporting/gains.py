"""What routers gain on what does not read the question, and what there was to gain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from training.reporting.cells import gained, gained_at_cost, micro
from training.reporting.compared import Compared
from training.reporting.frontier import (
    Choice,
    Outcome,
    affordable,
    best,
    matched_mean,
    mixture,
    oracle,
)
from training.reporting.tables import Table


@dataclass(frozen=True)
class Against:
    """What routers are compared with: some ways, and which of them for a cost. Of a split, and of
    the router's label."""

    title: str
    ways: Callable[[Compared, str], Mapping[str, Outcome]]
    choose: Choice = mixture


def _blind(split: Compared, label: str) -> Mapping[str, Outcome]:
    """A router that sees lambda alone is not compared with itself."""
    return {} if split.is_blind(label) else split.blind


AT_EQUAL_COST = (
    Against("on the best mixture of constants", lambda split, _: split.mixtures),
    Against(
        "on the best mixture of all that reads no question",
        lambda split, label: {**split.fixed, **_blind(split, label)},
    ),
    Against("on the router that sees lambda alone", _blind),
    Against(
        "on the best constant that costs no more", lambda split, _: split.constants, affordable
    ),
)
AGAINST = (*AT_EQUAL_COST, Against("on plain retrieval", lambda split, _: split.plain))
TITLES = tuple(f"gain {each.title}" for each in AGAINST)


def gains(split: Compared) -> Table:
    """What each router gains at its own cost, at each lambda."""
    rows = []
    for label, arms in split.routers.items():
        for arm, one in split.figures.outcomes(list(arms.values())).items():
            cost, score = one.point
            cells = against(split, label, one, AGAINST)
            rows.append([arm, f"{score:.3f}", micro(cost), *cells])
    return Table(("router", "F1", "micro-USD", *TITLES), rows)


def mean_gains(split: Compared) -> Table:
    """What each router gains at its own costs, on average over its lambdas."""
    rows = []
    for label, arms in split.routers.items():
        ones = list(split.figures.outcomes(list(arms.values())).values())
        if not ones:
            continue
        cells = (_mean(ones, each.ways(split, label), each.choose) for each in AGAINST)
        rows.append([label, ", ".join(f"{weight:g}" for weight in arms), *cells])
    return Table(("router", "mean over lambdas", *TITLES), rows)


def against(split: Compared, label: str, one: Outcome, others: Sequence[Against]) -> list[str]:
    """A cell for each of what this way of a router is compared with; "" where there is none."""
    return [gained_at_cost(one, each.ways(split, label), each.choose) for each in others]


def oracles(split: Compared) -> Table:
    """How much there was to win: for every question the way that scores best, of equals the
    cheapest. The second may also take what no router of tiers can."""
    figures = split.figures
    fixed = split.constants
    routers = [arm for arms in split.routers.values() for arm in arms.values()]
    everything = {**fixed, **figures.outcomes(routers), **split.plain}
    named = {"constants": fixed, "constants, routers and plain retrieval": everything}
    return Table(
        ("an oracle over", "ways", "F1", "micro-USD", "best of them alone"),
        [_oracle_row(name, ways) for name, ways in named.items() if ways],
    )


def _oracle_row(name: str, ways: Mapping[str, Outcome]) -> list[str]:
    cost, score = oracle(ways).point
    first = best(ways)
    alone = f"{ways[first].point[1]:.3f} ({first})"
    return [name, str(len(ways)), f"{score:.3f}", micro(cost), alone]


def _mean(ones: Sequence[Outcome], others: Mapping[str, Outcome], choose: Choice) -> str:
    return gained(matched_mean(ones, others, choose)) if others else ""
