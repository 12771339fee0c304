"""The nearest vectors: exact, in a total order, and the same whoever is looked at beside them."""

from __future__ import annotations

import numpy as np
import pytest

from budgetmem.ranking import nearest


def test_the_best_come_first_and_ties_by_their_place():
    matrix = np.array([[0, 1], [1, 0], [1, 0], [0.5, 0]], np.float32)
    found = nearest(["d", "a", "b", "c"], matrix, np.array([1, 0], np.float32), 3)
    assert found == (("a", 1.0), ("b", 1.0), ("c", 0.5))


def test_nothing_among_nothing():
    assert nearest([], np.empty((0, 3), np.float32), np.ones(3, np.float32), 5) == ()


@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 64, 384])
def test_a_score_does_not_depend_on_the_company(dimension):
    draw = np.random.default_rng(dimension)
    matrix = draw.normal(size=(101, dimension)).astype(np.float32)
    vector = draw.normal(size=dimension).astype(np.float32)
    names = [f"{number:03}" for number in range(len(matrix))]
    whole = dict(nearest(names, matrix, vector, len(names)))
    for size in (1, 2, 5, 50):
        some = sorted(draw.choice(len(matrix), size, replace=False))
        part = nearest([names[i] for i in some], matrix[some], vector, size)
        assert dict(part) == {names[i]: whole[names[i]] for i in some}
