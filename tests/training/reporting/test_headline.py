"""Headline numbers: lambdas and plain retrieval are chosen on validation where that can be."""

import pytest

from tests.training.reporting.test_tables import rows
from tests.training.reporting.toy_figures import ARMS, toy_figures
from training.reporting.compared import compared
from training.reporting.figures import Figures
from training.reporting.headline import headline
from training.reporting.trained import Trained

MORE = {**ARMS, "plain-5": (0.5, 8e-6, "")}
KNOWN = {
    **MORE,
    "router@0": (0.3, 5e-6, "LMHLM"),
    "router@0.5": (0.5, 3e-6, "LMLLM"),
    "plain-5": (0.2, 8e-6, ""),
}
CHOSEN, PLAIN = "lambda chosen for", "on the best plain retrieval"


def test_lambdas_and_plain_retrieval_are_those_of_validation():
    split = compared(toy_figures(arms=MORE), toy_figures("validation", KNOWN))
    found = rows(headline(split))
    assert list(found) == ["router@0.5"]  # router@0 is better here, and was not there
    row = found["router@0.5"]
    assert row[CHOSEN] == "best score and gain on validation"
    assert row["micro-USD"] == "3.0"
    assert row[PLAIN] == "+0.100 [+0.100, +0.100], +38% (100% plain-2)"
    assert row["answerer's tokens, of those of plain retrieval"] == "100 / 100 = 1.00"
    mixed = "+0.100 [+0.100, +0.100], +38% (50% LLLLL + 50% MMMMM)"
    assert row["on the best mixture of constants"] == mixed
    blind = "on the router that sees lambda alone"
    assert row[blind] == "+0.100 [+0.100, +0.100], +38% (100% blind@0.5)"


def test_the_best_score_and_the_best_gain_may_be_at_two_lambdas():
    # On validation 0.45 for 5 gains 0.05 on MMMMM, 0.4 for 3 gains 0.1 on its mixture.
    known = {**KNOWN, "router@0": (0.45, 5e-6, ""), "router@0.5": (0.4, 3e-6, "")}
    split = compared(toy_figures(arms=MORE), toy_figures("validation", known))
    found = rows(headline(split))
    assert {arm: row[CHOSEN] for arm, row in found.items()} == {
        "router@0": "best score on validation",
        "router@0.5": "best gain on validation",
    }


def test_gains_on_validation_are_on_what_constants_came_to_there():
    # Here the cheapest constant is as good as any, and router@0.5 would gain nothing on it.
    known = {**KNOWN, "router@0": (0.45, 5e-6, ""), "router@0.5": (0.4, 3e-6, "")}
    here = {**MORE, "LLLLL": (0.4, 3e-6, "LLLLL")}
    split = compared(toy_figures(arms=here), toy_figures("validation", known))
    assert rows(headline(split))["router@0.5"][CHOSEN] == "best gain on validation"


@pytest.mark.parametrize(
    "validation",
    [
        None,
        toy_figures("validation", KNOWN, routers={"router": [Trained("capacity-9")]}),
        toy_figures("validation", {arm: of for arm, of in KNOWN.items() if "router" not in arm}),
    ],
)
def test_where_the_router_was_not_validated_it_is_said(validation):
    found = rows(headline(compared(toy_figures(arms=MORE), validation)))
    assert list(found) == ["router@0"]
    chosen = "best score and gain on these questions, after the fact"
    assert found["router@0"][CHOSEN] == chosen
    assert found["router@0"][PLAIN].endswith("(100% plain-5)")


def test_without_anything_to_compare_with_cells_are_empty():
    figures = toy_figures(arms={"router@0": (0.6, 5e-6, "LMHLM")})
    (row,) = headline(compared(figures, None)).rows
    assert row[:2] == ["router@0", "best score on these questions, after the fact"]
    assert row[4:] == [""] * 6


def test_a_router_that_answered_nothing_has_no_row():
    whole = toy_figures(arms=("LLLLL", "router@0"))
    assert not headline(compared(Figures(whole.head, {**whole.found, "router@0": []}), None)).rows
