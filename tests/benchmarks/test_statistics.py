import pytest

from benchmarks.statistics import mean_with_interval


def test_the_interval_holds_the_mean_and_repeats():
    values = [0.0, 0.0, 1.0, 1.0, 0.5]
    first = mean_with_interval(values)
    assert first.mean == pytest.approx(0.5)
    assert 0.0 <= first.low < first.mean < first.high <= 1.0
    assert mean_with_interval(values) == first


def test_equal_values_have_no_interval():
    assert str(mean_with_interval([0.25] * 4)) == "0.250 [0.250, 0.250]"


def test_more_questions_narrow_it():
    few, many = mean_with_interval([0.0, 1.0] * 5), mean_with_interval([0.0, 1.0] * 500)
    assert many.high - many.low < (few.high - few.low) / 5
