"""Areas: a mixture of the constants is worth exactly as much as the constants."""

import numpy as np
import pytest

from tests.training.reporting.test_tables import rows
from tests.training.reporting.toy_figures import toy_figures
from training.reporting.areas import areas
from training.reporting.compared import compared
from training.reporting.frontier import hypervolume
from training.reporting.trained import Trained

ENDS = {"LLLLL": (0.2, 2e-6, "LLLLL"), "HHHHH": (0.6, 10e-6, "HHHHH")}


def mixed(label, shares, better=0.0):
    """A router that draws at random: the share of HHHHH is its lambda."""
    return {
        f"{label}@{share:g}": (
            0.2 + 0.4 * share + better * (0 < share < 1),
            2e-6 + 8e-6 * share,
            "",
        )
        for share in shares
    }


def ratios(arms, routers=None):
    table = areas(compared(toy_figures(arms={**ENDS, **arms}, routers=routers or {}), None))
    return rows(table)


@pytest.mark.parametrize("shares", [(0, 1), (0, 0.5, 1), tuple(np.linspace(0, 1, 7))])
def test_a_random_mixture_has_the_area_of_the_constants(shares):
    found = ratios(mixed("random", shares))["random"]
    assert found["of that of the constants"] == "1.000 [1.000, 1.000]"


def test_what_is_better_than_mixtures_has_more():
    found = ratios(mixed("good", (0, 0.5, 1), better=0.1))
    # From (2, 0.1625) straight to (10, 0.5625), or by way of (6, 0.4625), over the logarithm.
    constants = [(2.0, 0.1625), (10.0, 0.5625)]
    area = hypervolume(constants, 2.0, 10.0)
    ratio = hypervolume([*constants, (6.0, 0.4625)], 2.0, 10.0) / area
    assert found["good"]["of that of the constants"].startswith(f"{ratio:.3f} [")
    assert found["constants"]["of that of the constants"] == "1.000 [1.000, 1.000]"
    assert float(found["constants"]["area"]) == pytest.approx(area, abs=1e-3)


def test_a_frontier_ends_at_the_cheapest_and_the_dearest_of_all_ways():
    """Had it its own ends, a way of one cost had no area, and a narrow one too much."""
    arms = {"one@0": (0.5, 5e-6, ""), "narrow@0": (0.4, 4e-6, ""), "narrow@1": (0.5, 6e-6, "")}
    found = ratios(arms)
    one = hypervolume([(5.0, 0.4625)], 2.0, 10.0)
    narrow = hypervolume([(4.0, 0.3625), (6.0, 0.4625)], 2.0, 10.0)
    assert float(found["one"]["area"]) == pytest.approx(one, abs=1e-3)
    assert float(found["narrow"]["area"]) == pytest.approx(narrow, abs=1e-3)


def test_an_interval_is_over_questions():
    figures = toy_figures(arms={**ENDS, **mixed("one", (0, 1))})
    lucky = [
        each if place else type(each)(**{**vars(each), "score": 1.0})
        for place, each in enumerate(figures.found["one@1"])
    ]
    figures.found["one@1"][:] = lucky
    cell = rows(areas(compared(figures, None)))["one"]["of that of the constants"]
    low, high = map(float, cell.partition("[")[2].rstrip("]").split(", "))
    assert low == 1.0 < float(cell.partition(" ")[0]) < high


def test_one_router_is_compared_with_several_trained_apart():
    routers = {
        "seven": [Trained("v1", (0, 0)), Trained("v2", (1, 1))],
        "mine": [Trained("v3", (0, 1))],
    }
    arms = {**mixed("seven", (0, 1)), **mixed("mine", (0, 0.5, 1), better=0.1)}
    found = ratios(arms, routers)
    # At the lambdas that both have, and so without the better one.
    assert found["mine"]["of that of seven, trained apart"] == "1.000 [1.000, 1.000]"
    assert found["seven"]["of that of seven, trained apart"] == ""
    assert found["constants"]["of that of seven, trained apart"] == ""


def test_lambdas_that_only_the_routers_trained_apart_have_do_not_count():
    routers = {
        "seven": [Trained("v1", (0, 0.5)), Trained("v2", (1, 1))],
        "mine": [Trained("v3", (0, 1))],
    }
    arms = {**mixed("seven", (0, 0.5, 1), better=0.1), **mixed("mine", (0, 1))}
    found = ratios(arms, routers)
    assert found["mine"]["of that of seven, trained apart"] == "1.000 [1.000, 1.000]"
    assert found["mine"]["area"] < found["seven"]["area"]


def test_without_constants_there_are_areas_alone():
    figures = toy_figures(arms={"router@0": (0.6, 5e-6, "LMHLM")})
    found = rows(areas(compared(figures, None)))
    assert list(found) == ["router"]
    assert found["router"]["of that of the constants"] == ""
