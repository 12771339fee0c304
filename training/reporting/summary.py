"""Means of an evaluation's results, with intervals over the questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.table import Column, Table

from training.reporting.cells import interval
from training.reporting.figures import Figures
from training.reporting.results import Result
from training.statistics import bootstrap

Summary = Mapping[str, Any]
Failures = Mapping[str, Sequence[str]]
"""Questions without an answer, by the way of answering that failed on them."""


def report(figures: Figures, failures: Failures, arms: Sequence[str]) -> dict[str, Any]:
    """What an evaluation came to, and what that depends on. JSON-able."""
    head = figures.head
    means = summarized(figures, failures)
    return {
        "setting": head.setting,
        "routers": {
            label: [asdict(each) for each in several] for label, several in head.routers.items()
        },
        "codes": figures.codes,
        "sample": {"questions": len(head.questions), **asdict(head.sample)},
        "build_cost_usd": head.build_usd,
        "builds": {history: asdict(each) for history, each in head.builds.items()},
        "arms": {arm: means[arm] for arm in arms},
    }


def summarized(figures: Figures, failures: Failures | None = None) -> dict[str, dict[str, Any]]:
    """For each way of answering what it came to.

    A question without an answer has a score of 0, also in its category, and is in no other mean:
    `answered` says how many those are over.
    """
    head = figures.head
    return {
        arm: {
            **_figures(results, len(head.questions)),
            "failed": sorted((failures or {}).get(arm, ())),
            "by_category": {
                name: _figures([one for one in results if one.category == name], n)
                for name, n in head.categories.items()
            },
        }
        for arm, results in figures.found.items()
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
            interval(score),
            "" if recall is None else f"{recall:.3f}",
            f"{row['cost_usd']['mean']:.2e}",
            f"{row['answer_cost_usd']:.2e}",
            f"{row['answer_tokens']:.0f}",
        )
    return shown


def _figures(results: Sequence[Result], attempted: int) -> dict[str, Any]:
    missing = [0.0] * (attempted - len(results))
    told: dict[str, Any] = {
        "attempted": attempted,
        "answered": len(results),
        "score": bootstrap([*(each.score for each in results), *missing]).report(),
    }
    return {**told, **_of_answers(results)} if results else told


def _of_answers(results: Sequence[Result]) -> dict[str, Any]:
    recalls = [each.recall for each in results if each.recall is not None]
    return {
        "recall": float(np.mean(recalls)) if recalls else None,
        "judges": {name: bootstrap(held).report() for name, held in _verdicts(results).items()},
        "cost_usd": bootstrap([each.costs_usd.total for each in results]).report(),
        "query_cost_usd": float(np.mean([each.costs_usd.query for each in results])),
        "answer_cost_usd": float(np.mean([each.costs_usd.answer for each in results])),
        "query_tokens": float(np.mean([each.query_tokens for each in results])),
        "answer_tokens": float(np.mean([each.answer_tokens for each in results])),
        "fell": float(np.mean([len(each.fell) for each in results])),
        "milliseconds_p50": float(np.median([each.milliseconds for each in results])),
    }


def _verdicts(results: Sequence[Result]) -> Mapping[str, list[float]]:
    """By judge, of what has one."""
    found: dict[str, list[float]] = {}
    for each in results:
        for judge, score in each.verdicts.items():
            if score is not None:
                found.setdefault(judge, []).append(score)
    return dict(sorted(found.items()))
