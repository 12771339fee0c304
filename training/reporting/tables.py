"""The tables of a report, as rows of text: the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from budgetmem.errors import ConfigError
from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from training.reporting.arm_names import BLIND, constants, plain, routed
from training.reporting.figures import Figures
from training.reporting.frontier import Outcome, frontier, hypervolume, matched, oracle
from training.reporting.results import Result
from training.reporting.summary import summarized
from training.rollouts.paths import LETTERS


@dataclass(frozen=True)
class Table:
    """`rows` have as many cells as `columns`."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As GitHub reads it."""
        ruler = ["---"] * len(self.columns)
        return "\n".join(f"| {' | '.join(row)} |" for row in (self.columns, ruler, *self.rows))


@dataclass(frozen=True)
class Compared:
    """Results of a split, and the constants that a service may mix without a router.

    The constants are those on the frontier of the validation split, if that was evaluated, and
    all of them, known after the fact, if it was not (`chosen` says which).
    """

    figures: Figures
    mixable: Sequence[str]
    chosen: bool


def compared(figures: Figures, validation: Figures | None) -> Compared:
    """Picks the constants. Raises ConfigError if the split lacks one of those of the validation."""
    here = constants(figures.head.arms)
    if validation is None:
        return Compared(figures, here, chosen=False)
    best = frontier(validation.outcomes(constants(validation.head.arms)))
    if missing := sorted(set(best) - set(here)):
        raise ConfigError(f"{', '.join(missing)}: best on validation, and not evaluated here")
    return Compared(figures, best, chosen=True)


def means(figures: Figures) -> Table:
    """A row for each way of answering, with its intervals."""
    summary = summarized(figures.found, len(figures.head.questions), {})
    rows = [_mean_row(arm, row) for arm, row in summary.items()]
    return Table(
        (
            "answered by",
            "n",
            "failed",
            "F1",
            "evidence recall",
            "judge",
            "micro-USD",
            "of it answer",
            "answerer's tokens",
            "tokens before",
        ),
        rows,
    )


def categories(figures: Figures) -> Table:
    """Mean scores by category of question; what was not answered is left out."""
    names = sorted({each.category for results in figures.found.values() for each in results})
    rows = []
    for arm, results in figures.found.items():
        scores = {name: [one.score for one in results if one.category == name] for name in names}
        rows.append([arm, *(_mean(scores[name]) for name in names)])
    sizes = {name: _most(figures, name) for name in names}
    return Table(("answered by", *(f"{name} ({sizes[name]})" for name in names)), rows)


def gains(split: Compared) -> Table:
    """What each router gains at its own cost, on what does not read the question."""
    figures = split.figures
    routers = routed(figures.head.arms)
    fixed = figures.outcomes(split.mixable)
    blind = figures.outcomes(list(routers.get(BLIND, {}).values()))
    retrieval = figures.outcomes(plain(figures.head.arms))
    rows = []
    for label, arms in routers.items():
        for arm in arms.values():
            one = figures.outcome(arm)
            against = {} if label == BLIND else blind
            rows.append(
                [
                    arm,
                    f"{one.point[1]:.3f}",
                    _micro(one.point[0]),
                    *(_gain(one, others) for others in (fixed, against, retrieval)),
                ]
            )
    return Table(
        (
            "router",
            "F1",
            "micro-USD",
            "gain on the best mixture of constants",
            "on the router that sees lambda alone",
            "on plain retrieval",
        ),
        rows,
    )


def areas(split: Compared) -> Table:
    """Hypervolumes of frontiers, with one reference for all: the dearest cost, and no score."""
    figures = split.figures
    groups: dict[str, Mapping[str, Outcome]] = {
        label: figures.outcomes(list(arms.values()))
        for label, arms in routed(figures.head.arms).items()
    }
    groups["constants"] = figures.outcomes(split.mixable)
    groups["plain retrieval"] = figures.outcomes(plain(figures.head.arms))
    groups = {label: ways for label, ways in groups.items() if ways}
    everything = {name: one for ways in groups.values() for name, one in ways.items()}
    dearest = max(one.point[0] for one in everything.values())
    held = {
        label: hypervolume([one.point for one in ways.values()], (dearest, 0.0))
        for label, ways in groups.items()
    }
    base = held.get("constants", 0.0)
    return Table(
        ("frontier", "hypervolume", "of that of the constants"),
        [
            [label, f"{area:.3f}", f"{area / base:.3f}" if base > 0 else ""]
            for label, area in held.items()
        ],
    )


def oracle_of(split: Compared) -> str:
    """How much there was to win, in a sentence."""
    ways = split.figures.outcomes(split.mixable)
    if not ways:
        return ""
    cost, score = oracle(ways).point
    return (
        f"An oracle that knows for every question which of {', '.join(ways)} scores best (of "
        f"equals the cheapest): F1 {score:.3f} for {_micro(cost)} micro-USD."
    )


def tier_shares(figures: Figures) -> list[dict[str, Any]]:
    """How often each module got each tier, for every router and lambda: shares that sum to 1."""
    found = []
    for label, arms in routed(figures.head.arms).items():
        for weight, arm in arms.items():
            letters = [each.tiers for each in figures.found[arm]]
            for place, module in enumerate(MODULES):
                for tier in Tier:
                    count = sum(path[place] == LETTERS[tier] for path in letters)
                    found.append(
                        {
                            "router": label,
                            "lambda": weight,
                            "module": module,
                            "tier": tier.label,
                            "share": count / len(letters) if letters else 0.0,
                        }
                    )
    return found


def tiers(figures: Figures) -> Table:
    """Shares of Low / Mid / High in per cent, by module."""
    shares: dict[tuple[str, float], dict[str, list[str]]] = {}
    for each in tier_shares(figures):
        row = shares.setdefault((each["router"], each["lambda"]), {})
        row.setdefault(each["module"], []).append(f"{100 * each['share']:.0f}")
    return Table(
        ("router", *MODULES),
        [
            [f"{label}@{weight:g}", *(" / ".join(row[module]) for module in MODULES)]
            for (label, weight), row in shares.items()
        ],
    )


def _mean_row(arm: str, row: Mapping[str, Any]) -> list[str]:
    missing = row["attempted"] - row["answered"]
    begin = [arm, str(row["attempted"]), str(missing)]
    if not row["answered"]:
        return [*begin, *[""] * 7]
    judge = row["judge"]
    return [
        *begin,
        _interval(row["score"]),
        "" if row["recall"] is None else f"{row['recall']:.3f}",
        "" if judge is None else _interval(judge),
        _micro(row["cost_usd"]["mean"]),
        _micro(row["answer_cost_usd"]),
        f"{row['answer_tokens']:.0f}",
        f"{row['query_tokens']:.0f}",
    ]


def _gain(one: Outcome, others: Mapping[str, Outcome]) -> str:
    """With the interval over questions, per cent of the other's score, and what it is against."""
    if not others:
        return ""
    found = matched(one, others)
    part = "" if found.relative is None else f", {100 * found.relative:+.0f}%"
    mixed = " + ".join(f"{share:.0%} {name}" for name, share in found.against.items())
    mean, low, high = (
        round(value, 3) + 0.0 for value in (found.score.mean, found.score.low, found.score.high)
    )
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]{part} ({mixed})"


def _interval(of: Mapping[str, float]) -> str:
    return f"{of['mean']:.3f} [{of['low']:.3f}, {of['high']:.3f}]"


def _micro(usd: float) -> str:
    return f"{usd * 1e6:.1f}"


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f}" if values else ""


def _most(figures: Figures, category: str) -> int:
    """How many questions of a category were answered by the way that answered most of them."""

    def count(results: Sequence[Result]) -> int:
        return sum(each.category == category for each in results)

    return max(map(count, figures.found.values()))
