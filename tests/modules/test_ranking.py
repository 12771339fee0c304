from __future__ import annotations

import numpy as np

from budgetmem.modules.ranking import at_least, best, bm25, coverage, diverse


def test_bm25_prefers_the_rare_word() -> None:
    scores = bm25("dog pottery", ["a dog", "a dog ran", "pottery", "the sea"])
    assert int(scores.argmax()) == 2
    assert scores.max() == 1.0
    assert scores[3] == 0.0


def test_bm25_of_nothing_is_zero() -> None:
    assert not bm25("dog", ["", "sea"]).any()
    assert not bm25("", ["dog"]).any()
    assert bm25("dog", []).shape == (0,)


def test_coverage_counts_distinct_words() -> None:
    assert list(coverage("dogs and dog bowls", ["dog dog", "bowl of a dog", "sea"])) == [0.5, 1, 0]


def test_best_prefers_the_earlier_of_equals() -> None:
    assert best(np.array([1.0, 3.0, 3.0]), 2) == [1, 2]


def test_at_least_is_relative_and_never_empty() -> None:
    assert at_least(np.array([0.4, 1.0, 0.6]), 0.5, 5) == [1, 2]
    assert at_least(np.array([-0.2, -0.1]), 0.5, 5) == [1]
    assert at_least(np.array([0.0, 0.0]), 0.5, 5) == [0]
    assert at_least(np.array([]), 0.5, 5) == []


def test_diverse_takes_the_second_view_before_the_echo() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert diverse(np.array([0.9, 0.9, 0.7]), vectors, 3) == [0, 2, 1]
