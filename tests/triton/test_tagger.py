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


@pytest.mark.parametrize("reply", [b"not json", b"{}", b"[]", b'{"entities": [{"text": "x"}]}'])
async def test_what_is_no_annotation_is_an_error(reply):
    channel = FakeChannel(answer=lambda _: np.array([reply], dtype=np.object_))
    with pytest.raises(BackboneError, match="tagger at fake:1 sent what is no annotation"):
        await TritonTagger(channel, "tagger").annotate(["x"])
