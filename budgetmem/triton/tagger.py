"""The tagger, parser and entity recogniser on Triton: BYTES texts in, BYTES JSON out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from budgetmem.backbone import Annotation, Entity, Relation
from budgetmem.triton.channel import Array, Channel, text_tensor
from budgetmem.triton.reading import checked_text, reading

INPUT = "text"
OUTPUT = "annotations"
BATCH_SIZE = 64


class TritonTagger:
    """A `budgetmem.backbone.Tagger` on Triton."""

    def __init__(self, channel: Channel, model: str, name: str = "") -> None:
        self.name = name or model
        self._channel = channel
        self._model = model

    async def annotate(self, texts: Sequence[str]) -> tuple[Annotation, ...]:
        annotations: list[Annotation] = []
        for start in range(0, len(texts), BATCH_SIZE):
            inputs = {INPUT: text_tensor(*texts[start : start + BATCH_SIZE])}
            replies = await self._channel.infer(self._model, inputs, OUTPUT)
            with reading(self._model, self._channel.url):
                annotations += _annotations(replies, len(inputs[INPUT]))
        return tuple(annotations)

    def remembered(self, texts: Sequence[str]) -> int:
        """It has no memory."""
        return 0


def annotation_from_json(text: str | bytes) -> Annotation:
    """Reads `{"entities": [{text, label}], "relations": [{subject, verb, object}],
    "noun_phrases": [...], "tokens": n}`. Raises one of `reading.MALFORMED` for anything else."""
    data = json.loads(text)
    return Annotation(
        entities=tuple(Entity(*_texts(each, "text", "label")) for each in data["entities"]),
        relations=tuple(
            Relation(*_texts(each, "subject", "verb", "object")) for each in data["relations"]
        ),
        noun_phrases=tuple(checked_text(each) for each in data["noun_phrases"]),
        tokens=_count(data["tokens"]),
    )


def _annotations(replies: Array, expected: int) -> list[Annotation]:
    if replies.size != expected:
        raise ValueError(f"{replies.size} annotations of {expected} texts")
    return [annotation_from_json(reply) for reply in replies.reshape(-1)]


def _texts(data: Mapping[str, object], *names: str) -> list[str]:
    return [checked_text(data[name]) for name in names]


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("a number of tokens that is none")
    return value
