"""What counts as kept when Triton was killed."""

import pytest

from benchmarks.chaos.triton_kills import Kill

FINE = {"answered": 5, "retryable": 3, "late": 0, "failed": 0, "refused_without_hint": 0}


def test_an_answer_or_something_to_retry_is_kept():
    assert Kill("Triton", 12.0, FINE).kept


@pytest.mark.parametrize("lost", ["late", "failed"])
def test_a_request_that_ends_otherwise_is_not(lost):
    assert not Kill("Triton", 12.0, FINE | {lost: 1}).kept


def test_a_service_that_stays_away_is_not():
    assert not Kill("Triton", None, FINE).kept
