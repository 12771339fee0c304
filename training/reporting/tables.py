"""The tables of a report, as rows of text: the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from training.reporting.arm_names import NO_MEMORY, routed
from training.reporting.cells import interval, micro
from training.reporting.figures import Figures
from training.reporting.results import Result
from training.reporting.summary import Summary
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


def means(figures: Figures, summary: Summary) -> Table:
    """A row for each way of answering, with its intervals. `summary` is of `summarized`."""
    judges, build_usd = figures.judges, figures.head.build_usd
    rows = [_mean_row(arm, row, judges, build_usd) for arm, row in summary.items()]
    return Table(
        (
            "answered by",
            "n",
            "failed",
            "F1",
            "evidence recall",
            *(f"judge ({name}), judged/n" for name in judges),
            "micro-USD to build",
            "micro-USD a question",
            "of it answer",
            "answerer's tokens",
            "tokens before",
        ),
        rows,
    )


def categories(figures: Figures, summary: Summary) -> Table:
    """Mean scores by category of question; what was not answered scores 0."""
    rows = [
        [arm, *(f"{each['score']['mean']:.3f}" for each in row["by_category"].values())]
        for arm, row in summary.items()
    ]
    sizes = figures.head.categories
    return Table(("answered by", *(f"{name} ({size})" for name, size in sizes.items())), rows)


def tier_shares(results: Sequence[Result]) -> Mapping[str, Mapping[Tier, float]]:
    """How often each module got each tier: shares that sum to 1, all 0 of no results."""
    paths = [each.tiers for each in results]
    return {
        module: {
            tier: sum(path[place] == LETTERS[tier] for path in paths) / max(len(paths), 1)
            for tier in Tier
        }
        for place, module in enumerate(MODULES)
    }


def tiers(figures: Figures) -> Table:
    """Shares of Low / Mid / High in per cent, by module."""
    rows = []
    for arms in routed(figures.head.arms).values():
        for arm in arms.values():
            shares = tier_shares(figures.found[arm])
            rows.append([arm, *map(_per_cent, shares.values())])
    return Table(("router", *MODULES), rows)


def _per_cent(shares: Mapping[Tier, float]) -> str:
    return " / ".join(f"{100 * share:.0f}" for share in shares.values())


def _mean_row(
    arm: str, row: Mapping[str, Any], judges: Sequence[str], build_usd: float
) -> list[str]:
    missing = row["attempted"] - row["answered"]
    begin = [arm, str(row["attempted"]), str(missing), interval(row["score"])]
    if not row["answered"]:
        return [*begin, *[""] * (len(judges) + 6)]
    return [
        *begin,
        "" if row["recall"] is None else f"{row['recall']:.3f}",
        *(_verdicts(row["judges"].get(judge), row["attempted"]) for judge in judges),
        micro(0.0 if arm == NO_MEMORY else build_usd),
        micro(row["cost_usd"]["mean"]),
        micro(row["answer_cost_usd"]),
        f"{row['answer_tokens']:.0f}",
        f"{row['query_tokens']:.0f}",
    ]


def _verdicts(of: Mapping[str, float] | None, attempted: int) -> str:
    """The mean of those that there are, and how many."""
    return "" if of is None else f"{interval(of)}, {of['n']}/{attempted}"
