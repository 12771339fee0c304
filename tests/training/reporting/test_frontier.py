"""Frontiers: mixtures are the line to beat, hypervolumes are areas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.reporting.frontier import (
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
    assert mixture(CONSTANTS, cost) == pytest.approx(shares)


@pytest.mark.parametrize(
    ("cost", "name"), [(0.5, "low"), (1, "low"), (3.9, "low"), (4, "high"), (9, "high")]
)
def test_the_best_constant_costs_no_more(cost, name):
    assert affordable(CONSTANTS, cost) == {name: 1.0}


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
    # One question is 0.35 better, the other 0.05.
    assert (found.score.low, found.score.high) == pytest.approx((0.05, 0.35))


def test_nothing_is_gained_on_oneself():
    found = gain(LOW, CONSTANTS, {"low": 1.0})
    assert found == Gain(Mean(0, 0, 0, 2), 0, found.against)
    nothing = outcome([1, 1], [0, 0])
    assert gain(LOW, {"none": nothing}, {"none": 1.0}).relative is None


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
    assert hypervolume([(0.0, 1.0)], 2.0) == 1.0
    # From (0, 0.25) up to (1, 0.5), and on at 0.5 to 2.
    slope = [(1.0, 0.5), (0.0, 0.25)]
    assert hypervolume(slope, 2.0) == pytest.approx((0.375 + 0.5) / 2)
    # What lies on the line between them, or below it, adds nothing.
    assert hypervolume([*slope, (0.5, 0.375), (0.5, 0.1)], 2.0) == pytest.approx(0.875 / 2)
    # Below the cheapest there is nothing; the line is cut off where the costs end.
    assert hypervolume([(1.0, 0.0), (3.0, 1.0)], 2.0) == pytest.approx(0.25 / 2)
    assert hypervolume([], 2.0) == hypervolume([(3.0, 1.0)], 2.0) == 0.0
    assert hypervolume([(0.0, 1.0)], 0.0) == 0.0


POINTS = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda p: (round(p[0], 3), round(p[1], 3))),
    min_size=1,
    max_size=8,
)


@given(POINTS, POINTS)
def test_more_points_never_shrink_it(some, more):
    assert hypervolume([*some, *more], 1.0) >= hypervolume(some, 1.0) - 1e-12
    assert 0 <= hypervolume(some, 1.0) <= 1 + 1e-12


@given(POINTS, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_mixtures_of_points_add_no_area(points, shares):
    (cost, score), (end, reached) = points[0], points[-1]
    mixed = [(cost + (end - cost) * s, score + (reached - score) * s) for s in shares]
    area = hypervolume(points, 1.0)
    assert hypervolume([*points, *mixed], 1.0) == pytest.approx(area, abs=1e-9)


@given(POINTS, st.floats(0, 1))
def test_no_constant_that_costs_as_little_beats_the_mixture(points, cost):
    constants = {str(i): outcome([c, c], [s, s]) for i, (c, s) in enumerate(points)}
    shares = mixture(constants, cost)
    assert sum(shares.values()) == pytest.approx(1)
    score = sum(share * constants[name].point[1] for name, share in shares.items())
    cheaper = [s for c, s in points if c <= cost]
    assert score >= max(cheaper, default=0.0) - 1e-9


def test_a_frontier_has_what_some_mixture_needs():
    assert frontier(CONSTANTS) == ["low", "high"]
    assert frontier({}) == []
