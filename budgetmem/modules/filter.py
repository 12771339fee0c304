"""Filter: which of the retrieved chunks help to answer the question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from budgetmem.errors import ReplyError
from budgetmem.modules.base import LocalRung, Tools
from budgetmem.modules.lines import lines
from budgetmem.modules.ranking import Scores, best, similarity
from budgetmem.replies import read_list, read_number
from budgetmem.types import Chunk, Finding, Workspace

RULES_SHARE = 0.8
SPECIALIST_SHARE = 0.95
"""Kept are the best chunks that have this share of all scores together. Chosen on LoCoMo's training
conversations: of the evidence in 400 tokens, `rules` keep 94 of 100 turns in 244 tokens."""

COSINE_WEIGHT = 2.0

FAVOURITES_SHARE = 0.7
"""The best chunks that have this share of the score of retrieval stay, whatever an LLM says: models
of 1.5B and less pick three chunks and no more, and lose evidence that retrieval was sure of."""

FEW = 3
"""So many chunks are always kept."""


class Filter:
    """Keeps the chunks that help to answer the question."""

    name = "filter"
    about = "Selects, among the retrieved memories, those that help to answer the question."
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "keep": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1},
                "minItems": 3,
                "maxItems": 12,
            }
        },
        "required": ["keep"],
        "additionalProperties": False,
    }

    @property
    def local(self) -> Mapping[str, LocalRung]:
        return {"rules": by_score, "specialist": by_similarity, "as_found": everything}

    def reads(self, work: Workspace) -> tuple[Chunk, ...]:
        return work.retrieved

    def render(self, work: Workspace) -> Mapping[str, str]:
        return {}

    def parse(self, reply: str, work: Workspace) -> tuple[Finding, ...]:
        """Chunks by their numbers, and the favourites of retrieval, which no reply takes away."""
        numbers = read_list(reply, "keep")
        valid = [read_number(number, len(work.retrieved)) for number in numbers]
        kept = [i for i in valid if i is not None]
        if numbers and not kept:
            raise ReplyError(f"keep holds no number of 1 to {len(work.retrieved)}: {numbers[:5]}")
        favourites = _best_with(FAVOURITES_SHARE, _retrieval(work))
        return tuple(_kept(work.retrieved[i], None) for i in dict.fromkeys([*kept, *favourites]))


async def by_score(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """The best chunks by the score of retrieval, which has weighed words and vectors already."""
    return _findings(work, _retrieval(work), RULES_SHARE)


async def by_similarity(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """As `by_score`, each score times exp(COSINE_WEIGHT * cosine of the chunk's nearest turn)."""
    turns = lines(work.retrieved)
    if not turns:
        return await by_score(work, tools)
    cosines, _ = await similarity(tools, work.query, [turn.told for turn in turns])
    nearest = np.full(len(work.retrieved), -1.0)
    for turn, cosine in zip(turns, cosines, strict=True):
        for i, chunk in enumerate(work.retrieved):
            if chunk.id in turn.chunk_ids:
                nearest[i] = max(nearest[i], cosine)
    scores = _retrieval(work) * np.exp(COSINE_WEIGHT * nearest)
    return _findings(work, scores, SPECIALIST_SHARE)


async def everything(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """All chunks."""
    return tuple(_kept(chunk, None) for chunk in work.retrieved)


def _retrieval(work: Workspace) -> Scores:
    return np.array([max(chunk.score, 0.0) for chunk in work.retrieved], dtype=np.float64)


def _findings(work: Workspace, scores: Scores, share: float) -> tuple[Finding, ...]:
    """The best chunks that have `share` of all scores together, and FEW at least."""
    kept = best(scores, max(FEW, len(_best_with(share, scores))))
    return tuple(_kept(work.retrieved[i], float(scores[i])) for i in kept)


def _best_with(share: float, scores: Scores) -> list[int]:
    """The fewest of the highest scores that have `share` of all together, best first."""
    ranked = best(scores, len(scores))
    enough = int(np.searchsorted(np.cumsum(scores[ranked]), share * scores.sum()))
    return ranked[: enough + 1]


def _kept(chunk: Chunk, score: float | None) -> Finding:
    return Finding("filter", chunk.text, (chunk.id,), score=score)
