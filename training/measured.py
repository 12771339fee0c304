"""What a router came to when it ran, for its card: from the figures of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from budgetmem.errors import ConfigError
from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from training.reporting.arm_names import routed
from training.reporting.figures import Figures
from training.reporting.results import Result
from training.rollouts.paths import LETTERS
from training.statistics import bootstrap


def measured(figures: Figures, version: str) -> dict[str, Any]:
    """The metrics of the router of this version, as `train.card` has those of its choice.

    Raises ConfigError if it is not among those that were evaluated.
    """
    routers = figures.head.routers
    arms = {
        weight: figures.found[arm]
        for label, by_weight in routed(figures.head.arms).items()
        for router in routers.get(label, ())
        for weight, arm in by_weight.items()
        if router.version == version and router.takes(weight)
    }
    if not arms:
        known = ", ".join(each.version for held in routers.values() for each in held) or "none"
        raise ConfigError(f"the figures have no results of the router {version}: they have {known}")
    return {
        "source": f"measured on a live Triton, {figures.head.split} questions",
        "questions": len(figures.head.questions),
        "by_cost_weight": [_row(weight, arms[weight]) for weight in sorted(arms)],
    }


def _row(cost_weight: float, results: Sequence[Result]) -> dict[str, Any]:
    """As `evaluation.Walked.report`."""
    return {
        "cost_weight": cost_weight,
        "questions": len(results),
        "score": bootstrap([each.score for each in results]).report(),
        "cost_usd": bootstrap([each.costs_usd.total for each in results]).report(),
        "tiers": {
            module: {
                tier.label: sum(each.tiers[at] == LETTERS[tier] for each in results) / len(results)
                for tier in Tier
            }
            for at, module in enumerate(MODULES)
        },
    }
