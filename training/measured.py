"""What a router came to when it ran, for its card: from the figures of an evaluation."""

from __future__ import annotations

from typing import Any

from budgetmem.errors import ConfigError
from training.reporting.arm_names import routed
from training.reporting.figures import Figures
from training.reporting.tables import tier_shares
from training.statistics import bootstrap


def measured(figures: Figures, version: str) -> dict[str, Any]:
    """The metrics of the router of this version, as `train.card` has those of its choice.

    Raises ConfigError if it is not among those that were evaluated.
    """
    routers = figures.head.routers
    arms = {
        weight: arm
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
        "by_cost_weight": [_row(figures, weight, arms[weight]) for weight in sorted(arms)],
    }


def _row(figures: Figures, cost_weight: float, arm: str) -> dict[str, Any]:
    """As `evaluation.Walked.report`. What was not answered scores 0."""
    outcome, answered = figures.outcome(arm), figures.found[arm]
    return {
        "cost_weight": cost_weight,
        "questions": len(outcome.scores),
        "score": bootstrap(outcome.scores).report(),
        "cost_usd": bootstrap(outcome.costs).report(),
        "tiers": {
            module: {tier.label: share for tier, share in shares.items()}
            for module, shares in tier_shares(answered).items()
        },
    }
