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


def means(figures: Figures) -> Table:
    """A row for each way of answering, with its intervals."""
    judges, build_usd = figures.judges, figures.head.build_usd
    summary = summarized(figures)
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


def categories(figures: Figures) -> Table:
    """Mean scores by category of question; what was not answered scores 0."""
    sizes = figures.head.categories
    members = {name: figures.head.category(name) for name in sizes}
    rows = []
    for arm, results in figures.found.items():
        sums = {
            name: sum(one.score for one in results if one.question in members[name])
            for name in sizes
        }
        rows.append([arm, *(f"{sums[name] / size:.3f}" for name, size in sizes.items())])
    return Table(("answered by", *(f"{name} ({size})" for name, size in sizes.items())), rows)


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
