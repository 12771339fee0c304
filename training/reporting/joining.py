"""Evaluations of one setting that were run apart, seen as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from budgetmem.errors import ConfigError
from training.reporting.figures import Figures, Head
from training.reporting.naming import ALWAYS, grouped, on_the_same
from training.reporting.results import add_router
from training.reporting.trained import Trained


def joined(found: Sequence[Figures]) -> list[Figures]:
    """Those of each setting as one: the ways of all of them, on the questions that all were asked.

    Raises ConfigError for a way of answering that two of a setting have, for two that were asked no
    question in common, and for a label that is two routers'.
    """
    return [_one(group) for group in grouped(found, ())]


def _one(group: Sequence[Figures]) -> Figures:
    if len(group) == 1:
        return group[0]
    apart = on_the_same(group)
    head = apart[0].head
    if not head.questions:
        raise ConfigError(f"{_told(head)}: two of the figures have no question in common")
    if len({each.head.sample for each in apart}) > 1:
        raise ConfigError(
            f"{_told(head)}: the questions of two of the figures were drawn by different seeds, or "
            "of different splits: evaluate with the same --seed and data"
        )
    arms = [arm for each in apart for arm in each.head.arms]
    if twice := sorted({arm for arm in arms if arms.count(arm) > 1}):
        raise ConfigError(
            f"{_told(head)}: two of the figures have {', '.join(twice)}: "
            "evaluate what is missing only, or all in one folder"
        )
    routers: dict[str, list[Trained]] = {}
    for each in apart:
        for label, trained in each.head.routers.items():
            for router in trained:
                add_router(routers, label, router)
    return Figures(
        replace(head, routers=routers, arms=tuple(arms)),
        {arm: results for each in apart for arm, results in each.found.items()},
    )


def _told(head: Head) -> str:
    return ", ".join(str(head.setting[key]) for key in ALWAYS)
