from __future__ import annotations

import numpy as np

from budgetmem.modules.ranking import best, coverage, diverse


def test_coverage_counts_distinct_words() -> None:
    assert list(coverage("dogs and dog bowls", ["dog dog", "bowl of a dog", "sea"])) == [0.5, 1, 0]


def test_best_prefers_the_earlier_of_equals() -> None:
    assert best(np.array([1.0, 3.0, 3.0]), 2) == [1, 2]


def test_diverse_takes_the_second_view_before_the_echo() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert diverse(np.array([0.9, 0.9, 0.7]), vectors, 3) == [0, 2, 1]
