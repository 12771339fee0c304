"""Gains at equal cost, of figures that can be reckoned by hand."""

import pytest

from tests.training.reporting.test_tables import rows, without
from tests.training.reporting.toy_figures import toy_figures
from training.reporting.compared import compared
from training.reporting.gains import TITLES, gains, mean_gains, oracles
from training.reporting.trained import Trained

ON_CONSTANTS, ON_FIXED, ON_BLIND, ON_AFFORDABLE, ON_PLAIN = TITLES


def test_a_router_is_compared_with_the_best_mixture_at_its_cost():
    found = rows(gains(compared(toy_figures(), None)))
    # 5 micro-USD: more than MMMMM costs, which nothing dearer beats.
    assert found["router@0"][ON_CONSTANTS] == "+0.200 [+0.200, +0.200], +55% (100% MMMMM)"
    # 3 micro-USD: halfway between LLLLL (0.2) and MMMMM (0.4).
    half = "+0.100 [+0.100, +0.100], +38% (50% LLLLL + 50% MMMMM)"
    assert found["router@0.5"][ON_CONSTANTS] == half
    whole = "+0.200 [+0.200, +0.200], +123% (100% LLLLL)"
    assert found["router@0.5"][ON_AFFORDABLE] == whole
    assert found["router@0.5"][ON_BLIND] == "+0.100 [+0.100, +0.100], +38% (100% blind@0.5)"
    assert found["router@0"][ON_PLAIN] == "+0.300 [+0.300, +0.300], +114% (100% plain-2)"
    assert found["blind@0.5"][ON_BLIND] == ""


def test_what_reads_no_question_may_mix_anything():
    cheap = {"no-memory": (0.1, 1e-6, ""), "plain-2": (0.5, 4e-6, "")}
    arms = {"LLLLL": (0.2, 3e-6, ""), "HHHHH": (0.4, 9e-6, ""), **cheap, "a@0": (0.3, 2.5e-6, "")}
    found = rows(gains(compared(toy_figures(arms=arms), None)))["a@0"]
    # Below the cheapest constant; but halfway between no memory and plain retrieval.
    assert found[ON_CONSTANTS].endswith("(100% LLLLL)")
    assert found[ON_FIXED] == "+0.000 [+0.000, +0.000], +0% (50% no-memory + 50% plain-2)"


def test_the_best_constant_that_costs_no_more_may_lie_under_a_mixture():
    arms = {
        "LLLLL": (0.2, 1e-6, ""),
        "LLLLM": (0.39, 2e-6, ""),
        "MMMMM": (0.6, 3e-6, ""),
        "a@0": (0.45, 2.5e-6, ""),
    }
    split = compared(toy_figures(arms=arms), toy_figures("validation", arms))
    assert list(split.mixable) == ["LLLLL", "MMMMM"]
    found = rows(gains(split))["a@0"]
    assert found[ON_AFFORDABLE] == "+0.060 [+0.060, +0.060], +17% (100% LLLLM)"


def test_a_router_that_fails_gets_no_cheaper():
    split = compared(without(toy_figures(), "router@0.5", 1), None)
    found = rows(gains(split))["router@0.5"]
    assert found["micro-USD"] == "3.0"
    assert "(50% LLLLL + 50% MMMMM)" in found[ON_CONSTANTS]


def test_a_router_whose_card_says_so_is_blind():
    arms = {"LLLLL": (0.2, 2e-6, "LLLLL"), "a@0": (0.3, 3e-6, ""), "b@0": (0.4, 3e-6, "")}
    routers = {"a": [Trained("v1", blind=True)], "b": [Trained("v2")]}
    split = compared(toy_figures(arms=arms, routers=routers), None)
    assert list(split.seeing) == ["b"]
    assert rows(gains(split))["b@0"][ON_BLIND].startswith("+0.100")


def test_the_mean_gain_is_over_lambdas():
    found = rows(mean_gains(compared(toy_figures(), None)))["router"]
    assert found["mean over lambdas"] == "0, 0.5"
    # 0.2 and 0.1, on 0.3625 and 0.2625.
    assert found[ON_CONSTANTS] == "+0.150 [+0.150, +0.150], +48%"


def test_the_oracle_is_over_all_constants_and_over_everything():
    validation = toy_figures("validation")
    split = compared(toy_figures(), validation)
    assert list(split.mixable) == ["LLLLL", "MMMMM"]
    constants, everything = oracles(split).rows
    assert constants[:2] == ["constants", "3"]
    assert float(constants[2]) == pytest.approx(0.3625, abs=6e-4)
    assert constants[3] == "4.0"
    assert constants[4].endswith("(MMMMM)")
    assert everything[:2] == ["constants, routers and plain retrieval", "7"]
    assert float(everything[2]) == pytest.approx(0.5625, abs=6e-4)
    assert everything[3] == "5.0"
    assert everything[4].endswith("(router@0)")


def test_without_a_way_there_is_no_oracle():
    arms = {"no-memory": (0.1, 1e-6, "")}
    assert not oracles(compared(toy_figures(arms=arms), None)).rows
