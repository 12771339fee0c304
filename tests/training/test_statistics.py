import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.statistics import Mean, bootstrap, of_repeats, spearman


def test_the_interval_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(5, 2, size=400)
    found = bootstrap(values)
    error = values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=0.1 * error)
    assert found.n == 400
    assert bootstrap(values) == found


@pytest.mark.parametrize("count", [3, 5, 12])
def test_few_repeats_have_intervals_that_hold_the_mean(count):
    random = np.random.default_rng(1)
    found = [of_repeats(random.normal(5, 2, size=count)) for _ in range(600)]
    assert sum(each.low <= 5 <= each.high for each in found) / 600 > 0.92


def test_one_repeat_has_no_interval():
    assert of_repeats([0.5]) == Mean(0.5, 0.5, 0.5, 1)


def test_equal_values_have_no_interval():
    assert str(bootstrap([0.25] * 4)) == "0.250 [0.250, 0.250]"


def test_more_values_narrow_it():
    few, many = bootstrap([0.0, 1.0] * 5), bootstrap([0.0, 1.0] * 500)
    assert many.high - many.low < (few.high - few.low) / 5


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3], [9, 5, 1], -1.0),
        ([1, 2, 3], [1, 10, 11], 1.0),
        ([1, 2, 3, 4], [1, 2, 2, 4], 0.9486832980505138),
        ([1, 2, 3], [4, 4, 4], None),
    ],
)
def test_spearman(one, other, expected):
    assert spearman(one, other) == (None if expected is None else pytest.approx(expected))


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20))
def test_spearman_knows_only_the_order(values):
    found = spearman(values, [value**3 for value in values])
    assert found is None if len(set(values)) == 1 else found == pytest.approx(1)
