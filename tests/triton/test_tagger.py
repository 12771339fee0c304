"""The tagger's client."""

import json

import numpy as np
import pytest

from budgetmem.backbone import Annotation, Entity, Relation
from budgetmem.errors import BackboneError
from budgetmem.triton.tagger import BATCH_SIZE, TritonTagger
from tests.triton.fakes import FakeChannel


def echo(inputs):
    """A fake annotation: the text as its only noun phrase."""
    replies = [
        json.dumps(
            {
                "entities": [{"text": text.decode(), "label": "GPE"}],
                "relations": [{"subject": "s", "verb": "v", "object": "o"}],
                "noun_phrases": [text.decode()],
                "tokens": 1,
            }
        ).encode()
        for text in inputs["text"]
    ]
    return np.array(replies, dtype=np.object_)


def annotation(text):
    return Annotation((Entity(text, "GPE"),), (Relation("s", "v", "o"),), (text,), 1)


async def test_one_annotation_a_text_in_order():
    tagger = TritonTagger(FakeChannel(answer=echo), "tagger")
    assert await tagger.annotate(["Köln", "Rome", "Köln"]) == tuple(
        annotation(text) for text in ("Köln", "Rome", "Köln")
    )


async def test_many_texts_are_sent_in_batches():
    channel = FakeChannel(answer=echo)
    tagger = TritonTagger(channel, "tagger")
    texts = [str(i) for i in range(BATCH_SIZE + 1)]
    assert len(await tagger.annotate(texts)) == BATCH_SIZE + 1
    assert [len(call["text"]) for call in channel.calls] == [BATCH_SIZE, 1]
    assert tagger.remembered(texts) == 0


def with_parts(**parts):
    whole = {"entities": [], "relations": [], "noun_phrases": [], "tokens": 1}
    return json.dumps({**whole, **parts}).encode()


@pytest.mark.parametrize(
    "replies",
    [
        [b"not json"],
        [b"{}"],
        [b"[]"],
        [b"[" * 100_000],
        [b"\xff\xfe\xfd"],
        [b'{"entities": [{"text": "x"}]}'],
        [with_parts(entities=[{"text": 7, "label": "GPE"}])],
        [with_parts(relations=["s v o"])],
        [with_parts(noun_phrases=["half a character: \ud800"])],
        [with_parts(tokens="many")],
        [with_parts(tokens=-1)],
        [],
        [with_parts(), with_parts()],
    ],
)
async def test_what_is_no_annotation_is_an_error(replies):
    channel = FakeChannel(answer=lambda _: np.array(replies, dtype=np.object_))
    with pytest.raises(BackboneError, match="tagger at fake:1 sent what cannot be read"):
        await TritonTagger(channel, "tagger").annotate(["x"])


async def test_a_number_is_no_annotation():
    channel = FakeChannel(answer=lambda _: np.array([1.0]))
    with pytest.raises(BackboneError, match="cannot be read"):
        await TritonTagger(channel, "tagger").annotate(["x"])
