"""Frontiers: mixtures are the line to beat, hypervolumes are areas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.reporting.frontier import (
    Base,
    Gain,
    Outcome,
    affordable,
    frontier,
    gain,
    hypervolume,
    matched,
    matched_mean,
    mixture,
    oracle,
)
from training.statistics import Mean


def outcome(costs, scores) -> Outcome:
    return Outcome(np.array(scores, dtype=float), np.array(costs, dtype=float))


LOW = outcome([1, 1], [0.2, 0.4])  # (1, 0.3)
MID = outcome([2, 2], [0.3, 0.3])  # (2, 0.3): dearer and no better
HIGH = outcome([3, 5], [0.9, 0.5])  # (4, 0.7)
CONSTANTS = {"low": LOW, "mid": MID, "high": HIGH}


@pytest.mark.parametrize(
    ("cost", "shares"),
    [
        (0.5, {"low": 1.0}),
        (1, {"low": 1.0}),
        (2.5, {"low": 0.5, "high": 0.5}),
        (4, {"high": 1.0}),
        (9, {"high": 1.0}),
    ],
)
def test_a_mixture_spends_what_it_is_given(cost, shares):
    assert mixture(CONSTANTS, cost).shares == pytest.approx(shares)


def test_a_mixture_knows_what_more_would_buy():
    # From (1, 0.3) to (4, 0.7); at the ends, and of one constant, nothing is to be bought.
    assert mixture(CONSTANTS, 2.5).slope == pytest.approx(0.4 / 3)
    assert mixture(CONSTANTS, 0.5).slope == mixture(CONSTANTS, 9).slope == 0.0
    assert affordable(CONSTANTS, 2.5).slope == 0.0


@pytest.mark.parametrize(
    ("cost", "name"), [(0.5, "low"), (1, "low"), (3.9, "low"), (4, "high"), (9, "high")]
)
def test_the_best_constant_costs_no_more(cost, name):
    assert affordable(CONSTANTS, cost).shares == {name: 1.0}


@pytest.mark.parametrize("choose", [mixture, affordable])
def test_of_nothing_there_is_no_choice(choose):
    with pytest.raises(ValueError, match="no constants"):
        choose({}, 1.0)


def test_a_gain_is_paired():
    routed = outcome([2.5, 2.5], [0.9, 0.5])
    found = matched(routed, CONSTANTS)
    assert found.against == pytest.approx({"low": 0.5, "high": 0.5})
    assert found.score.mean == pytest.approx(0.7 - 0.5)
    assert found.relative == pytest.approx(0.4)
    # One question is 0.35 better, the other 0.05. The mixture costs 2 and 3 for them, so that the
    # router is 0.5 dearer and 0.5 cheaper, at a slope of 0.4 / 3.
    worth = 0.5 * 0.4 / 3
    assert (found.score.low, found.score.high) == pytest.approx((0.05 + worth, 0.35 - worth))


def test_nothing_is_gained_on_oneself():
    found = gain(LOW, CONSTANTS, Base({"low": 1.0}))
    assert found == Gain(Mean(0, 0, 0, 2), 0, found.against)
    nothing = outcome([1, 1], [0, 0])
    assert gain(LOW, {"none": nothing}, Base({"none": 1.0})).relative is None


def test_drawing_at_random_gains_nothing_however_many_are_drawn_the_dear_way():
    ends = {"low": outcome([1] * 8, [0.2] * 8), "high": outcome([5] * 8, [0.6] * 8)}
    drawn = outcome([1, 5, 1, 1, 5, 1, 1, 1], [0.2, 0.6, 0.2, 0.2, 0.6, 0.2, 0.2, 0.2])
    for found in (matched(drawn, ends), matched_mean([drawn, drawn], ends)):
        assert (found.score.mean, found.score.low, found.score.high) == pytest.approx((0, 0, 0))


def test_the_oracle_takes_the_best_and_of_equals_the_cheapest():
    found = oracle({"a": outcome([3, 1], [0.5, 0.5]), "b": outcome([2, 2], [0.5, 0.9])})
    assert found.scores.tolist() == [0.5, 0.9]
    assert found.costs.tolist() == [2, 2]


def test_a_mean_gain_is_of_each_way_at_its_own_cost():
    ones = [outcome([1, 1], [0.4, 0.4]), outcome([4, 4], [0.7, 0.9])]
    found = matched_mean(ones, CONSTANTS)  # on low: 0.2, 0.0; on high: -0.2, 0.4
    assert found.score.mean == pytest.approx(0.1)
    assert (found.score.low, found.score.high) == pytest.approx((0.0, 0.2))
    assert found.relative == pytest.approx(0.1 / 0.5)


def test_an_area_is_that_under_points_and_their_mixtures():
    assert hypervolume([(1.0, 1.0)], 1.0, 2.0) == 1.0
    # Flat from 1 to 10, of a rectangle from 1 to 100.
    assert hypervolume([(1.0, 0.5), (10.0, 1.0), (100.0, 1.0)], 10.0, 100.0) == pytest.approx(1.0)
    assert hypervolume([(10.0, 0.5)], 1.0, 100.0) == pytest.approx(0.25)
    # On a line that is as high as it is dear: the integral of cost over cost.
    line = [(0.1, 0.1), (1.0, 1.0)]
    area = 0.9 / np.log(10)
    assert hypervolume(line, 0.1, 1.0) == pytest.approx(area)
    # What lies on the line, or below it, adds nothing.
    assert hypervolume([*line, (0.5, 0.5), (0.5, 0.1)], 0.1, 1.0) == pytest.approx(area)
    assert hypervolume([], 1.0, 2.0) == hypervolume([(3.0, 1.0)], 1.0, 2.0) == 0.0
    assert hypervolume([(1.0, 1.0)], 1.0, 1.0) == 0.0


POINTS = st.lists(
    st.tuples(st.floats(0.01, 1), st.floats(0, 1)).map(lambda p: (round(p[0], 3), round(p[1], 3))),
    min_size=1,
    max_size=8,
)


@given(POINTS, POINTS)
def test_more_points_never_shrink_it(some, more):
    assert hypervolume([*some, *more], 0.01, 1.0) >= hypervolume(some, 0.01, 1.0) - 1e-9
    assert 0 <= hypervolume(some, 0.01, 1.0) <= 1 + 1e-9


@given(POINTS, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_mixtures_of_points_add_no_area(points, shares):
    (cost, score), (end, reached) = points[0], points[-1]
    mixed = [(cost + (end - cost) * s, score + (reached - score) * s) for s in shares]
    area = hypervolume(points, 0.01, 1.0)
    assert hypervolume([*points, *mixed], 0.01, 1.0) == pytest.approx(area, abs=1e-9)


@given(POINTS, st.floats(0, 1))
def test_no_constant_that_costs_as_little_beats_the_mixture(points, cost):
    constants = {str(i): outcome([c, c], [s, s]) for i, (c, s) in enumerate(points)}
    shares = mixture(constants, cost).shares
    assert sum(shares.values()) == pytest.approx(1)
    score = sum(share * constants[name].point[1] for name, share in shares.items())
    cheaper = [s for c, s in points if c <= cost]
    assert score >= max(cheaper, default=0.0) - 1e-9


def test_a_frontier_has_what_some_mixture_needs():
    assert frontier(CONSTANTS) == ["low", "high"]
    assert frontier({}) == []
