"""Means over questions: a failure scores 0, and is in no other mean."""

import io
import json

import pytest
from rich.console import Console

from tests.training.reporting.test_results import result
from training.reporting.figures import Asked, Figures, Head, Sample
from training.reporting.results import Build, Costs
from training.reporting.summary import report, summarized, table
from training.reporting.trained import Trained

KINDS = {"q1": "temporal", "q2": "multi-hop", "q3": "multi-hop", "q4": "open"}
HEAD = Head(
    {"split": "test"},
    {"mine": [Trained("v1", (0.0, 0.9))]},
    Sample(9, 3),
    tuple(Asked(name, "chat", kind) for name, kind in KINDS.items()),
    {"chat": Build(100, 8e-6)},
    ("LLLLL", "HHHHH"),
)
FOUND = {
    "LLLLL": [
        result("q1", 1.0, recall=1.0, verdicts={"j": 0.5}, milliseconds=10.0),
        result("q2", 0.5, "multi-hop", recall=None, costs_usd=Costs(4e-6, 3e-6), fell=("topic",)),
    ],
    "HHHHH": [],
}
FIGURES = Figures(HEAD, FOUND)


def test_failures_are_in_the_denominator_of_the_score_alone():
    found = summarized(FIGURES, {"LLLLL": ["q4", "q3"]})["LLLLL"]
    assert (found["attempted"], found["answered"], found["failed"]) == (4, 2, ["q3", "q4"])
    assert found["score"]["mean"] == pytest.approx(1.5 / 4)
    assert found["recall"] == 1.0
    assert (found["judges"]["j"]["mean"], found["judges"]["j"]["n"]) == (0.5, 1)
    assert found["cost_usd"]["mean"] == pytest.approx(5e-6)
    assert found["query_cost_usd"] == pytest.approx(3e-6)
    assert found["answer_cost_usd"] == pytest.approx(2e-6)
    assert found["fell"] == 0.5


def test_every_category_has_its_own_means_and_its_own_failures():
    groups = summarized(FIGURES)["LLLLL"]["by_category"]
    assert list(groups) == ["multi-hop", "open", "temporal"]
    assert groups["multi-hop"]["score"]["mean"] == 0.25
    assert (groups["multi-hop"]["attempted"], groups["multi-hop"]["answered"]) == (2, 1)
    assert groups["multi-hop"]["recall"] is None
    assert groups["open"]["score"]["mean"] == 0.0


def test_a_report_says_what_it_depends_on():
    found = report(FIGURES, {}, ["LLLLL"])
    assert json.loads(json.dumps(found)) is not None
    assert found["sample"] == {"questions": 4, "size": 9, "seed": 3}
    assert found["routers"]["mine"][0]["version"] == "v1"
    assert found["codes"] == {"c0de": 2}
    assert found["builds"] == {"chat": {"tokens": 100, "cost_usd": 8e-6}}
    assert found["build_cost_usd"] == pytest.approx(2e-6)
    assert list(found["arms"]) == ["LLLLL"]


def test_the_table_has_a_row_for_each_even_where_nothing_was_answered():
    console = Console(file=io.StringIO(), width=200)
    console.print(table(summarized(FIGURES, {"HHHHH": ["q1", "q2"]}), "title"))
    shown = console.file.getvalue()
    assert "0.375" in shown
    assert "HHHHH" in shown
