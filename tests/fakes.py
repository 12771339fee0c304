"""A pipeline over the public fakes: no model server, no store."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest

from budgetmem.backbone import (
    Backbone,
    HashEncoder,
    Models,
    ModelSet,
    ScriptedBackbone,
    ScriptedTagger,
    Vectors,
)
from budgetmem.config import Profile, load_profile
from budgetmem.ledger import Ledger
from budgetmem.pipeline import Pipeline
from budgetmem.router import FixedRouter, Routers
from budgetmem.types import Chunk

REPLIES = {
    "may hold the answer": json.dumps({"reasoning": "r", "keep": [1]}),
    "extract the relations": json.dumps(
        {
            "reasoning": "r",
            "relations": [
                {"subject": "Ana", "relation": "adopted", "object": "a cat", "memory": 1}
            ],
        }
    ),
    "extract the events": json.dumps(
        {
            "reasoning": "r",
            "events": [{"event": "Ana adopted a cat", "date": "7 May 2023", "memory": 1}],
        }
    ),
    "collect the facts": json.dumps(
        {
            "reasoning": "r",
            "facts": [{"topic": "pets", "fact": "Ana adopted a cat", "memory": 1}],
        }
    ),
    "Copy word for word": json.dumps(
        {"reasoning": "r", "quotes": ["I adopted a cat yesterday!", "A lovely cat"]}
    ),
    "Answer:": "a cat",
}
"""What a perfect LLM would say to each module, by words of its prompt."""

CHUNKS = (
    Chunk(
        id="c1",
        session="s1",
        time=datetime(2023, 5, 8, 12),
        turn_ids=("t1", "t2"),
        text="Ana: I adopted a cat yesterday!\nBen: What a lovely cat, congratulations Ana.",
        tokens=20,
        score=0.9,
    ),
    Chunk(
        id="c2",
        session="s2",
        time=datetime(2023, 6, 1, 12),
        turn_ids=("t3",),
        text="Ben: My new job in Lisbon starts next month.",
        tokens=12,
        score=0.3,
    ),
)


def perfect(prompt: str) -> str:
    """Replies to any prompt of the pipeline as it asks for."""
    return next((reply for key, reply in REPLIES.items() if key in prompt), "a cat")


@dataclass(frozen=True)
class Found:
    chunks: tuple[Chunk, ...] = CHUNKS
    tokens: int = 5
    query: Vectors | None = None
    vectors: Mapping[str, Vectors] = field(default_factory=dict)


@dataclass
class FixedRetriever:
    """Finds the same chunks for every query; without embedding it, the encoder reads nothing."""

    found: Found = Found()

    async def retrieve(
        self,
        tenant: str,
        history: str,
        query: str,
        max_tokens: int | None = None,
        *,
        embed: bool = True,
        born: float | None = None,
        deadline: float = math.inf,
    ) -> Found:
        return self.found if embed else replace(self.found, tokens=0)


def scripted(script: Callable[[str], str] = perfect) -> dict[str, ScriptedBackbone]:
    return {key: ScriptedBackbone(script, name=key) for key in ("low", "mid", "high")}


def pipeline(
    backbones: Mapping[str, Backbone] | None = None,
    *,
    models: Models | None = None,
    routers: Routers | None = None,
    retriever: FixedRetriever | None = None,
    profile: Profile | None = None,
    **more: Callable[[], float],
) -> Pipeline:
    models = models or ModelSet(
        backbones=backbones if backbones is not None else scripted(),
        encoder=HashEncoder(name="minilm-l6-v2"),
        tagger=ScriptedTagger(name="en-core-web-sm"),
    )
    return Pipeline(
        profile=profile or load_profile("small"),
        models=models,
        retriever=retriever or FixedRetriever(),
        routers=routers or FixedRouter(),
        **more,
    )


def kept_ledgers(monkeypatch: pytest.MonkeyPatch) -> list[Ledger]:
    """The ledgers that pipelines make from now on."""
    kept: list[Ledger] = []

    def make(*given: object) -> Ledger:
        kept.append(Ledger(*given))
        return kept[-1]

    monkeypatch.setattr("budgetmem.pipeline.Ledger", make)
    return kept
