"""The encoder's client: what it sends, and in which batches."""

import numpy as np
import pytest

from budgetmem.errors import BackboneError
from budgetmem.triton.encoder import TritonEncoder
from tests.triton.fakes import FakeChannel


def sums(inputs):
    """A fake embedding: the sum of a row's ids, and how many are real."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    return np.stack([ids.sum(axis=1), mask.sum(axis=1)], axis=1).astype(np.float32)


@pytest.fixture
def channel():
    return FakeChannel(answer=sums)


@pytest.fixture
def make(channel, tokenizer_file):
    def encoder(**options):
        arguments = {"dimension": 2, "max_tokens": 5, "batch_size": 2, **options}
        return TritonEncoder(channel, "encoder", tokenizer_file, **arguments)

    return encoder


def unit(*vector):
    return np.array(vector) / np.linalg.norm(vector)


async def test_rows_are_normalised_and_in_the_order_of_the_texts(make):
    vectors = await make().embed(["c c c", "a", "b b"])
    assert vectors.dtype == np.float32
    # [CLS] and [SEP] are 2 and 3; a, b and c are 4, 5 and 6.
    expected = [unit(2 + 18 + 3, 5), unit(2 + 4 + 3, 3), unit(2 + 10 + 3, 4)]
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)


async def test_texts_of_like_length_share_a_batch_padded_with_zeros(make, channel):
    await make().embed(["c c c", "a", "b b"])
    short, long = channel.calls
    np.testing.assert_array_equal(short["input_ids"], [[2, 4, 3, 0], [2, 5, 5, 3]])
    np.testing.assert_array_equal(short["attention_mask"], [[1, 1, 1, 0], [1, 1, 1, 1]])
    np.testing.assert_array_equal(long["input_ids"], [[2, 6, 6, 6, 3]])
    assert {tensor.dtype for call in channel.calls for tensor in call.values()} == {
        np.dtype(np.int64)
    }


async def test_long_texts_are_cut_but_counted_whole(make, channel):
    encoder = make()
    await encoder.embed(["a a a a a a a"])
    np.testing.assert_array_equal(channel.calls[0]["input_ids"], [[2, 4, 4, 4, 3]])
    assert encoder.tokens.count("a a a a a a a") == 9


async def test_type_ids_are_sent_only_if_wanted(make, channel):
    await make().embed(["a"])
    await make(with_type_ids=True).embed(["a"])
    assert set(channel.calls[0]) == {"input_ids", "attention_mask"}
    np.testing.assert_array_equal(channel.calls[1]["token_type_ids"], [[0, 0, 0]])


async def test_it_has_no_memory(make, channel):
    encoder = make()
    first = await encoder.embed(["a"])
    assert encoder.remembered(["a"]) == 0
    np.testing.assert_array_equal(await encoder.embed(["a"]), first)
    assert len(channel.calls) == 2


async def test_no_texts_make_no_call(make, channel):
    assert (await make().embed([])).shape == (0, 2)
    assert channel.calls == []


@pytest.mark.parametrize(
    ("embedded", "what"),
    [
        (np.zeros((1, 3), np.float32), "of the shape"),
        (np.zeros(2, np.float32), "of the shape"),
        (np.zeros((1, 1), np.float32), "of the shape"),
        (np.zeros((2, 2), np.float32), "of the shape"),
        (np.zeros((1, 0), np.float32), "of the shape"),
        (np.array([[b"a", b"b"]], np.object_), "where numbers are due"),
        (np.array([[1.0, np.nan]], np.float32), "not finite"),
        (np.array([[1.0, -np.inf]], np.float32), "not finite"),
        (np.array([[1e30, 1e30]], np.float32), "not finite"),
    ],
)
async def test_what_are_no_embeddings_is_an_error(make, channel, embedded, what):
    channel.answer = lambda inputs: embedded
    with pytest.raises(BackboneError, match=f"encoder at fake:1 sent what cannot be read.*{what}"):
        await make().embed(["a"])
