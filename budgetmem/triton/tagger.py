"""The tagger, parser and entity recogniser on Triton: BYTES texts in, BYTES JSON out."""

from __future__ import annotations

import json
from collections.abc import Sequence

from budgetmem.backbone import Annotation, Entity, Relation
from budgetmem.errors import BackboneError
from budgetmem.triton.channel import Channel, text_tensor

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
            annotations.extend(self._parse(reply) for reply in replies.reshape(-1))
        return tuple(annotations)

    def remembered(self, texts: Sequence[str]) -> int:
        """It has no memory."""
        return 0

    def _parse(self, reply: bytes) -> Annotation:
        try:
            return annotation_from_json(reply)
        except (ValueError, KeyError, TypeError) as exc:
            raise BackboneError(
                f"{self._model} at {self._channel.url} sent what is no annotation: {exc!r}"
            ) from exc


def annotation_from_json(text: str | bytes) -> Annotation:
    """Reads `{"entities": [{text, label}], "relations": [{subject, verb, object}],
    "noun_phrases": [...], "tokens": n}`."""
    data = json.loads(text)
    return Annotation(
        entities=tuple(Entity(**entity) for entity in data["entities"]),
        relations=tuple(Relation(**relation) for relation in data["relations"]),
        noun_phrases=tuple(data["noun_phrases"]),
        tokens=data["tokens"],
    )
