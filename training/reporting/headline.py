"""The few numbers that a reader takes along: of lambdas that were chosen before the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.reporting.arm_names import plain, routed
from training.reporting.cells import gained, micro
from training.reporting.compared import Compared
from training.reporting.figures import Figures
from training.reporting.frontier import Base, Outcome, best, gain, matched
from training.reporting.gains import AT_EQUAL_COST, against
from training.reporting.tables import Table

BEFORE, AFTERWARDS = "validation", "these questions, after the fact"


def headline(split: Compared) -> Table:
    """Every router at the lambda of its best score and at that of its best gain on constants.

    They are chosen on validation, if the same router was evaluated there, and so is the plain
    retrieval that it is compared with. Elsewhere they are chosen on these very questions, which the
    table says.
    """
    rows = []
    for label, arms in split.seeing.items():
        known = _validation(split, label)
        tried = split.figures if known is None else known
        for arm, chosen_for in _choices(split, tried, list(arms.values())).items():
            one = split.figures.outcome(arm)
            rows.append(
                [
                    arm,
                    f"best {' and '.join(chosen_for)} on {AFTERWARDS if known is None else BEFORE}",
                    *_cells(split, tried, arm, one),
                    *against(split, label, one, AT_EQUAL_COST),
                ]
            )
    columns = (
        "router",
        "lambda chosen for",
        "F1",
        "micro-USD",
        "on the best plain retrieval",
        "answerer's tokens, of those of plain retrieval",
        *(each.title for each in AT_EQUAL_COST),
    )
    return Table(columns, rows)


def _validation(split: Compared, label: str) -> Figures | None:
    """Of the validation questions, if this very router answered them, with what it is compared
    with."""
    other = split.validation
    if other is None:
        return None
    here, there = (
        {each.version for each in figures.head.routers.get(label, ())}
        for figures in (split.figures, other)
    )
    both = set(routed(split.figures.head.arms)[label].values()) & set(other.head.arms)
    return other if here == there and both and split.chosen else None


def _choices(split: Compared, tried: Figures, arms: Sequence[str]) -> Mapping[str, list[str]]:
    """What each way of answering was chosen for: the best score, the best gain. Of equals the
    cheapest."""
    there = tried.outcomes([arm for arm in arms if arm in tried.head.arms])
    if not there:
        return {}
    fixed = tried.outcomes(split.mixable)
    found: dict[str, list[str]] = {}
    found.setdefault(best(there), []).append("score")
    if fixed:
        gains = {arm: matched(one, fixed).score.mean for arm, one in there.items()}
        most = max(there, key=lambda arm: (gains[arm], -there[arm].point[0]))
        found.setdefault(most, []).append("gain")
    return found


def _cells(split: Compared, tried: Figures, arm: str, one: Outcome) -> list[str]:
    figures = split.figures
    cost, score = one.point
    retrieval, tokens = "", ""
    if there := tried.outcomes([each for each in plain(tried.head.arms) if each in split.plain]):
        retrieved = best(there)
        retrieval = gained(gain(one, split.plain, Base({retrieved: 1.0})))
        tokens = _share(_tokens(figures, arm), _tokens(figures, retrieved))
    return [f"{score:.3f}", micro(cost), retrieval, tokens]


def _tokens(figures: Figures, arm: str) -> float:
    """Of the answerer's prompt, the mean over what was answered; 0 if nothing was."""
    held = [each.answer_tokens for each in figures.found[arm]]
    return float(np.mean(held)) if held else 0.0


def _share(one: float, other: float) -> str:
    return f"{one:.0f} / {other:.0f} = {one / other:.2f}" if other else ""
