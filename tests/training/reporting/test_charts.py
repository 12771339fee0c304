"""What charts show, before anything is drawn."""

import pytest

from tests.training.reporting.toy_figures import toy_figures
from training.reporting.charts import (
    budget_chart,
    frontier_chart,
    strategies_chart,
    tier_chart,
)
from training.reporting.compared import compared
from training.reporting.figures import Figures


def points(chart):
    """The rows of the chart's dots."""
    told = chart.to_dict()
    return told["datasets"][told["layer"][-1]["data"]["name"]]


def test_a_frontier_has_a_point_for_every_way():
    chart = frontier_chart(compared(toy_figures(), toy_figures("validation"), "the heading"))
    assert chart.to_dict()["title"] == "the heading"
    found = {point["arm"]: point for point in points(chart)}
    groups = {arm: point["group"] for arm, point in found.items()}
    assert groups == {
        "router@0": "router",
        "router@0.5": "router",
        "blind@0.5": "blind",
        "LLLLL": "mixtures of constants",
        "MMMMM": "mixtures of constants",
        "plain-2": "plain retrieval",
        "HHHHH": "other constants",
    }
    assert (found["LLLLL"]["score"], found["LLLLL"]["cost"]) == (0.1625, 2.0)
    assert found["LLLLL"]["low"] < 0.1625 < found["LLLLL"]["high"]


def test_what_was_never_answered_has_no_point():
    whole = toy_figures()
    some = Figures(whole.head, {**whole.found, "router@0": []})
    shown = points(frontier_chart(compared(some, None)))
    assert "router@0" not in {point["arm"] for point in shown}


def test_strategies_are_told_apart():
    found = [toy_figures(), toy_figures(strategy="reasoning")]
    groups = {point["group"] for point in points(strategies_chart(found, "both"))}
    assert groups == {
        f"{strategy}: {group}"
        for strategy in ("capacity", "reasoning")
        for group in ("router", "blind", "constants")
    }


def test_a_curve_over_the_retrieval_budget():
    arms = {"plain": (0.3, 1e-6, ""), "plain-2": (0.35, 2e-6, ""), "no-memory": (0.1, 1e-6, "")}
    some = {**arms, "LLLLL": (0.2, 2e-6, "LLLLL")}
    found = [toy_figures(arms=some), toy_figures(arms=some, max_tokens=800)]
    shown = [(each["group"], each["budget"]) for each in points(budget_chart(found, "curve"))]
    assert sorted(shown) == [
        ("LLLLL", 400),
        ("LLLLL", 800),
        ("plain retrieval", 400),
        ("plain retrieval", 512),  # two chunks are two times 256 tokens, whatever the budget
        ("plain retrieval", 800),
    ]


def test_tiers_of_a_router_are_shares():
    chart = tier_chart(compared(toy_figures(), None, "heading"), "router").to_dict()
    (rows,) = chart["datasets"].values()
    assert {row["lambda"] for row in rows} == {0.0, 0.5}
    filters = [row["share"] for row in rows if (row["module"], row["lambda"]) == ("filter", 0.0)]
    assert sum(filters) == pytest.approx(1)
