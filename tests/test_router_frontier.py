"""What is read of a card's training and metrics, which have no promised form."""

from __future__ import annotations

import pytest

from budgetmem.bundled_routers import bundled_routers
from budgetmem.info import Frontier, FrontierPoint, Interval
from budgetmem.router_artifact import read_card
from budgetmem.router_frontier import frontier_of
from tests.toy_router import write_router


def at(cost_weight: float, score: float, cost: float) -> dict[str, object]:
    """A row of `by_cost_weight`, with more in it than is read."""
    return {
        "name": "policy",
        "cost_weight": cost_weight,
        "score": {"mean": score, "low": score - 0.1, "high": score + 0.1},
        "cost_usd": {"mean": cost, "low": cost / 2, "high": cost * 2},
        "tiers": {},
    }


TRAINING = {"dataset": "made-up", "seed": 0}
METRICS = {"questions": 40, "by_cost_weight": [at(0.9, 0.25, 1.0), at(0.0, 0.5, 4.0)]}


def test_points_are_in_the_order_of_their_cost_weights(tmp_path):
    card = read_card(write_router(tmp_path, training=TRAINING, metrics=METRICS))
    assert frontier_of(card) == Frontier(
        dataset="made-up",
        profile="small",
        questions=40,
        points=(
            FrontierPoint(0.0, Interval(0.5, 0.4, 0.6), Interval(4.0, 2.0, 8.0)),
            FrontierPoint(0.9, Interval(0.25, 0.15, 0.35), Interval(1.0, 0.5, 2.0)),
        ),
    )


@pytest.mark.parametrize(
    ("training", "metrics"),
    [
        ({}, METRICS),
        (TRAINING, {}),
        (TRAINING, METRICS | {"questions": 0}),
        (TRAINING, METRICS | {"by_cost_weight": []}),
        (TRAINING, METRICS | {"by_cost_weight": [{"cost_weight": 0.5}]}),
        (TRAINING, METRICS | {"by_cost_weight": [at(0.5, float("inf"), 1.0)]}),
    ],
)
def test_a_card_that_tells_of_none_has_none(tmp_path, training, metrics):
    card = read_card(write_router(tmp_path)).model_copy(
        update={"training": training, "metrics": metrics}
    )
    assert frontier_of(card) is None


def test_bundled_routers_have_one_over_their_range_of_cost_weights():
    for name, folder in bundled_routers().items():
        card = read_card(folder)
        frontier = frontier_of(card)
        assert frontier is not None, name
        weights = [point.cost_weight for point in frontier.points]
        assert (weights[0], weights[-1]) == (card.cost_weight.min, card.cost_weight.max)
        assert all(
            0 <= point.score.mean <= 1 and point.cost_usd.mean > 0 for point in frontier.points
        )
