import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from budgetmem.vectors import mean_direction


@given(st.lists(arrays(np.float32, 4, elements=st.floats(-1, 1, width=32)), min_size=1, max_size=5))
def test_a_mean_direction_is_a_unit_vector_or_nothing(vectors):
    found = mean_direction(vectors)
    assert found.dtype == np.float32
    assert found.shape == (4,)
    assert np.isfinite(found).all()
    if np.linalg.norm(np.mean(vectors, axis=0)) > 1e-6:
        assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-5)


def test_it_points_between_the_vectors():
    east, north = np.eye(2, dtype=np.float32)
    assert mean_direction([east, north]) == pytest.approx([0.5**0.5] * 2)
    assert mean_direction([east]).tolist() == [1.0, 0.0]
    assert mean_direction([east, east, north])[0] > 0.8


def test_opposites_have_no_direction():
    east = np.array([1, 0], np.float32)
    assert mean_direction([east, -east]).tolist() == [0.0, 0.0]
