"""The decision buffer and the choice of tiers of budgetmem._core."""

import gc

import numpy as np
import pytest

from budgetmem import _core
from budgetmem.errors import InvalidInput, Overloaded

WIDTH = 3


def rows(*first):
    """A row of three features for each of the given ones: x, x + 0.25, x + 0.5."""
    return np.array([[x, x + 0.25, x + 0.5] for x in first], np.float32).reshape(-1, WIDTH)


def masks(*bits):
    return np.array(bits, np.uint8)


def test_what_is_added_is_taken_in_order():
    buffer = _core.DecisionBuffer(WIDTH, 4)
    assert buffer.take() is None
    buffer.add(rows(1, 2), masks(0, 5))
    buffer.add(rows(), masks())
    buffer.add(rows(3), masks(7))
    assert len(buffer) == 3
    batch = buffer.take()
    assert len(buffer) == 0
    assert buffer.take() is None
    assert batch.features.dtype == np.float32
    assert batch.features.flags.c_contiguous
    np.testing.assert_array_equal(batch.features, rows(1, 2, 3))
    assert batch.masks.tolist() == [0, 5, 7]
    assert batch.masks.dtype == np.uint8


def test_a_batch_shows_its_memory_without_copies():
    buffer = _core.DecisionBuffer(WIDTH, 4)
    buffer.add(rows(1, 2), masks(0, 1))
    batch = buffer.take()
    for name in ("features", "masks"):
        assert np.shares_memory(getattr(batch, name), getattr(batch, name))
        assert getattr(batch, name).base is batch
    batch.features[1, 2] = 9
    assert batch.features[1, 2] == 9
    with pytest.raises(ValueError, match="read-only"):
        batch.masks[0] = 1


def test_views_keep_their_batch_alive():
    buffer = _core.DecisionBuffer(WIDTH, 4)
    buffer.add(rows(1, 2), masks(0, 1))
    kept = buffer.take().features
    buffer.add(rows(7, 8), masks(0, 1))
    other = buffer.take().features
    assert not np.shares_memory(kept, other)
    del buffer, other
    gc.collect()
    np.testing.assert_array_equal(kept, rows(1, 2))


def test_a_full_buffer_takes_nothing():
    buffer = _core.DecisionBuffer(WIDTH, 2)
    buffer.add(rows(1), masks(0))
    with pytest.raises(Overloaded) as error:
        buffer.add(rows(2, 3), masks(0, 0))
    assert error.value.retry_after_ms > 0
    buffer.add(rows(4), masks(0))
    np.testing.assert_array_equal(buffer.take().features, rows(1, 4))


@pytest.mark.parametrize(
    ("given", "with_masks", "field"),
    [
        (rows(1).tolist(), masks(0), "rows"),
        (rows(1).astype(np.float64), masks(0), "rows"),
        (rows(1)[0], masks(0), "rows"),
        (rows(1)[:, :2].copy(), masks(0), "rows"),
        (np.zeros((1, 2 * WIDTH), np.float32), masks(0, 0), "rows"),
        (np.asfortranarray(rows(1, 2)), masks(0, 0), "rows"),
        (rows(1, 2, 3)[::2], masks(0, 0), "rows"),
        (rows(1, np.nan), masks(0, 0), "rows[1]"),
        (rows(1, 2, np.inf), masks(0, 0, 0), "rows[2]"),
        (rows(1, 2), masks(0), "masks"),
        (rows(1, 2), masks(0, 0, 0), "masks"),
        (rows(1), np.zeros(1, np.int64), "masks"),
        (rows(1), np.zeros(1, bool), "masks"),
        (rows(1), masks(0).reshape(1, 1), "masks"),
        (rows(1, 2), masks(0, 1, 2)[::2], "masks"),
        (rows(1), None, "masks"),
    ],
)
def test_bad_rows_and_masks_are_named_and_not_added(given, with_masks, field):
    buffer = _core.DecisionBuffer(WIDTH, 8)
    with pytest.raises(InvalidInput) as error:
        buffer.add(given, with_masks)
    assert error.value.field == field
    assert len(buffer) == 0
    buffer.add(rows(5), masks(0))
    np.testing.assert_array_equal(buffer.take().features, rows(5))


@pytest.mark.parametrize(
    ("width", "capacity", "field"),
    [
        (0, 1, "width"),
        (1, 0, "capacity"),
        (-1, 1, "width"),
        (1, 1.5, "capacity"),
        (1, 2**26 + 1, "capacity"),
        (2**32, 2**32, "capacity"),
        (2**63 - 1, 1, "capacity"),
    ],
)
def test_bad_sizes_of_a_buffer(width, capacity, field):
    with pytest.raises(InvalidInput) as error:
        _core.DecisionBuffer(width, capacity)
    assert error.value.field == field


def test_batches_come_from_buffers():
    with pytest.raises(TypeError):
        _core.DecisionBatch()


LOGITS = np.log(np.array([[1, 2, 1], [1, 2, 1], [6, 1, 1], [1, 1, 1]], np.float32))
MASKS = masks(0, 0b010, 0b110, 0b111)


def test_the_likeliest_tier_that_is_not_masked_is_chosen():
    chosen, probabilities = _core.choose_tiers(LOGITS, MASKS)
    assert (chosen.dtype, probabilities.dtype) == (np.uint8, np.float32)
    assert chosen.tolist() == [1, 0, 0, 0]
    expected = [[0.25, 0.5, 0.25], [0.5, 0, 0.5], [1, 0, 0], [1, 0, 0]]
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("uniforms", "expected"),
    [
        ([0, 0, 0, 0], [0, 0, 0, 0]),
        ([0.3, 0.3, 0.3, 0.3], [1, 0, 0, 0]),
        ([0.8, 0.8, 0.8, 0.8], [2, 2, 0, 0]),
    ],
)
def test_uniforms_sample_tiers(uniforms, expected):
    chosen, probabilities = _core.choose_tiers(LOGITS, MASKS, np.array(uniforms, float))
    assert chosen.tolist() == expected
    np.testing.assert_array_equal(probabilities, _core.choose_tiers(LOGITS, MASKS)[1])


def test_nothing_to_choose():
    chosen, probabilities = _core.choose_tiers(LOGITS[:0], MASKS[:0], np.zeros(0))
    assert (chosen.shape, probabilities.shape) == ((0,), (0, 3))


def with_nan(row):
    logits = LOGITS.copy()
    logits[row, 1] = np.nan
    return logits


@pytest.mark.parametrize(
    ("logits", "with_masks", "uniforms", "field"),
    [
        (LOGITS.astype(np.float64), MASKS, None, "logits"),
        (LOGITS[0], MASKS, None, "logits"),
        (LOGITS.T, masks(0, 0, 0), None, "logits"),
        (LOGITS[:, :0].copy(), MASKS, None, "logits"),
        (np.zeros((4, 9), np.float32), MASKS, None, "logits"),
        (with_nan(2), MASKS, None, "logits[2]"),
        (LOGITS, MASKS[:3], None, "masks"),
        (LOGITS, MASKS.astype(np.int8), None, "masks"),
        (LOGITS, MASKS, np.zeros(4, np.float32), "uniforms"),
        (LOGITS, MASKS, np.zeros(0), "uniforms"),
        (LOGITS, MASKS, np.zeros(5), "uniforms"),
        (LOGITS, MASKS, np.array([0, 0, 0, 1.0]), "uniforms[3]"),
        (LOGITS, MASKS, np.array([0, np.nan, 0, 0]), "uniforms[1]"),
        (LOGITS, MASKS, 0.5, "uniforms"),
    ],
)
def test_bad_logits_masks_and_uniforms_are_named(logits, with_masks, uniforms, field):
    with pytest.raises(InvalidInput) as error:
        _core.choose_tiers(logits, with_masks, uniforms)
    assert error.value.field == field
