"""Means over questions: a failure scores 0, and is in no other mean."""

import io

import pytest
from rich.console import Console

from tests.training.reporting.test_results import result
from training.reporting.results import Costs
from training.reporting.summary import summarized, table

FOUND = {
    "LLLLL": [
        result("q1", 1.0, recall=1.0, judge=0.5, milliseconds=10.0),
        result("q2", 0.5, "multi-hop", recall=None, costs_usd=Costs(4e-6, 3e-6), fell=("topic",)),
    ],
    "HHHHH": [],
}


def test_failures_are_in_the_denominator_of_the_score_alone():
    found = summarized(FOUND, 4, {"LLLLL": ["q4", "q3"]})["LLLLL"]
    assert (found["attempted"], found["answered"], found["failed"]) == (4, 2, ["q3", "q4"])
    assert found["score"]["mean"] == pytest.approx(1.5 / 4)
    assert found["recall"] == 1.0
    assert (found["judge"]["mean"], found["judged"]) == (0.5, 1)
    assert found["cost_usd"]["mean"] == pytest.approx(5e-6)
    assert found["query_cost_usd"] == pytest.approx(3e-6)
    assert found["answer_cost_usd"] == pytest.approx(2e-6)
    assert found["fell"] == 0.5


def test_every_category_has_its_own_means():
    groups = summarized(FOUND, 2, {})["LLLLL"]["by_category"]
    assert list(groups) == ["multi-hop", "temporal"]
    assert groups["multi-hop"]["score"]["mean"] == 0.5
    assert groups["multi-hop"]["recall"] is None


def test_the_table_has_a_row_for_each_even_where_nothing_was_answered():
    console = Console(file=io.StringIO(), width=200)
    console.print(table(summarized(FOUND, 2, {"HHHHH": ["q1", "q2"]}), "title"))
    shown = console.file.getvalue()
    assert "0.750" in shown
    assert "HHHHH" in shown
