"""One row for every evaluation of a page: the best of each kind of answering."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from training.reporting.arm_names import NO_MEMORY, constants
from training.reporting.cells import micro
from training.reporting.compared import Compared
from training.reporting.frontier import Outcome, best, oracle
from training.reporting.tables import Table

COLUMNS = (
    "evaluation",
    "questions",
    "no memory",
    "best plain retrieval",
    "best constant",
    "best router",
    "oracle of the constants",
)


def overview(splits: Sequence[Compared]) -> Table:
    """F1 and micro-USD a question of the way of each kind that scores best, and its name.

    The best are known after the fact: of ways that are equally good, more of them make a better
    best.
    """
    return Table(COLUMNS, [_row(split) for split in splits])


def _row(split: Compared) -> list[str]:
    figures = split.figures
    arms = figures.head.arms
    fixed = figures.outcomes(constants(arms))
    routed = [arm for each in split.seeing.values() for arm in each.values()]
    kinds = (
        {"": figures.outcome(NO_MEMORY)} if NO_MEMORY in arms else {},
        split.plain,
        fixed,
        figures.outcomes(routed),
        {"": oracle(fixed)} if fixed else {},
    )
    link = f"[{split.heading}](#{_anchor(split.heading)})"
    return [link, str(len(figures.head.questions)), *map(_best, kinds)]


def _best(ways: Mapping[str, Outcome]) -> str:
    """Of equals the cheapest; "" of none. A way that is the only one of its kind has no name."""
    if not ways:
        return ""
    name = best(ways)
    cost, score = ways[name].point
    told = f"{score:.3f} for {micro(cost)}"
    return f"{told} ({name})" if name else told


def _anchor(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
