"""The in-process encoder on the real asset, where it is installed."""

import numpy as np
import pytest

from budgetmem.assets import asset_dir
from budgetmem.errors import AssetError
from budgetmem.local_encoder import LocalEncoder


@pytest.fixture(scope="module")
def encoder():
    try:
        return LocalEncoder(asset_dir("minilm-l6-v2"))
    except AssetError as exc:
        pytest.skip(f"the encoder's asset is not installed: {exc}")


async def test_near_texts_are_near_and_rows_are_unit_vectors(encoder):
    texts = ["A cat sat on the mat.", "A kitten rests on a rug.", "The stock market fell."]
    vectors = await encoder.embed(texts)
    assert vectors.shape == (3, encoder.dimension) == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


async def test_order_does_not_matter_and_long_texts_are_cut(encoder):
    """The tolerance is that of dynamic int8 quantisation, whose scale is per batch."""
    texts = ["short", "a somewhat longer text than that", "word " * 1000, "short"]
    forward = await encoder.embed(texts)
    backward = await encoder.embed(texts[::-1])
    assert np.sum(forward * backward[::-1], axis=1) == pytest.approx([1] * 4, abs=0.02)
    cut = await encoder.embed(["word " * 254])
    assert float(forward[2] @ cut[0]) == pytest.approx(1, abs=0.02)


async def test_no_texts_give_no_rows(encoder):
    assert (await encoder.embed([])).shape == (0, 384)


def test_tokens_are_counted_beyond_the_cut_with_special_tokens(encoder):
    assert encoder.tokens.count("word " * 1000) == 1002


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(AssetError, match=r"model\.onnx"):
        LocalEncoder(tmp_path)
