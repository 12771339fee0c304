"""Means of an evaluation's results, with intervals over the questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Column, Table

from training.reporting.results import Result
from training.statistics import bootstrap

Summary = Mapping[str, Any]


def summarized(
    found: Mapping[str, Sequence[Result]], attempted: int, failures: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """For each way of answering what it came to on the `attempted` questions.

    A question without an answer has a score of 0, and is in no other mean: `answered` says how many
    those are over.
    """
    return {
        arm: {
            "attempted": attempted,
            "answered": len(results),
            "failed": sorted(failures.get(arm, ())),
            **_figures(results, attempted - len(results)),
            "by_category": {
                category: _figures(some) for category, some in sorted(_grouped(results).items())
            },
        }
        for arm, results in found.items()
    }


def table(summary: Summary, title: str) -> Table:
    """A row for each way of answering."""
    shown = Table(
        Column("who", no_wrap=True),
        "n",
        "failed",
        "F1",
        "recall",
        "USD",
        "of it answer",
        "answer tokens",
        title=title,
    )
    for arm, row in summary.items():
        if not row["answered"]:
            shown.add_row(arm, str(row["attempted"]), str(len(row["failed"])))
            continue
        score, recall = row["score"], row["recall"]
        shown.add_row(
            arm,
            str(row["attempted"]),
            str(len(row["failed"])),
            f"{score['mean']:.3f} [{score['low']:.3f}, {score['high']:.3f}]",
            "" if recall is None else f"{recall:.3f}",
            f"{row['cost_usd']['mean']:.2e}",
            f"{row['answer_cost_usd']:.2e}",
            f"{row['answer_tokens']:.0f}",
        )
    return shown


def _figures(results: Sequence[Result], missing: int = 0) -> dict[str, Any]:
    if not results:
        return {}
    recalls = [each.recall for each in results if each.recall is not None]
    verdicts = [each.judge for each in results if each.judge is not None]
    return {
        "n": len(results) + missing,
        "score": bootstrap([*(each.score for each in results), *[0.0] * missing]).report(),
        "recall": float(np.mean(recalls)) if recalls else None,
        "judge": bootstrap(verdicts).report() if verdicts else None,
        "judged": len(verdicts),
        "cost_usd": bootstrap([each.costs_usd.total for each in results]).report(),
        "query_cost_usd": float(np.mean([each.costs_usd.query for each in results])),
        "answer_cost_usd": float(np.mean([each.costs_usd.answer for each in results])),
        "query_tokens": float(np.mean([each.query_tokens for each in results])),
        "answer_tokens": float(np.mean([each.answer_tokens for each in results])),
        "fell": float(np.mean([len(each.fell) for each in results])),
        "milliseconds_p50": float(np.median([each.milliseconds for each in results])),
    }


def _grouped(results: Sequence[Result]) -> Mapping[str, Sequence[Result]]:
    groups: dict[str, list[Result]] = defaultdict(list)
    for each in results:
        groups[each.category].append(each)
    return groups
