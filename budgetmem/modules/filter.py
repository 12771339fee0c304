"""Filter: which of the retrieved chunks help to answer the question."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from budgetmem.errors import ReplyError
from budgetmem.modules.base import LocalRung, Tools
from budgetmem.modules.lines import lines
from budgetmem.modules.ranking import Scores, at_least, best, bm25, coverage, similarity
from budgetmem.replies import read_list, read_number
from budgetmem.types import Chunk, Finding, Workspace

RULES_SHARE = 0.4
SPECIALIST_SHARE = 0.6
"""Kept are chunks that score at least this share of the best one's score."""

FEW = 3
"""So many chunks may always be kept; of more than twice as many, half."""


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
        return {"rules": by_keywords, "specialist": by_similarity}

    def reads(self, work: Workspace) -> tuple[Chunk, ...]:
        return work.retrieved

    def render(self, work: Workspace) -> Mapping[str, str]:
        return {}

    def parse(self, reply: str, work: Workspace) -> tuple[Finding, ...]:
        """Chunks by their numbers; the best-scoring one if the reply keeps none."""
        numbers = read_list(reply, "keep")
        valid = [read_number(number, len(work.retrieved)) for number in numbers]
        kept = list(dict.fromkeys(i for i in valid if i is not None))
        if numbers and not kept:
            raise ReplyError(f"keep holds no number of 1 to {len(work.retrieved)}: {numbers[:5]}")
        scores = np.array([chunk.score for chunk in work.retrieved], dtype=np.float64)
        return tuple(_kept(work.retrieved[i], None) for i in kept or best(scores, 1))


async def by_keywords(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """BM25 among the chunks, and how many of the query's words each has.

    If no chunk shares a word with the query, the best half by retrieval score is kept.
    """
    texts = [chunk.text for chunk in work.retrieved]
    scores = (bm25(work.query, texts) + coverage(work.query, texts)) / 2
    if scores.any():
        return _findings(work, scores, at_least(scores, RULES_SHARE, _most(work)))
    retrieval = np.array([chunk.score for chunk in work.retrieved], dtype=np.float64)
    return _findings(work, retrieval, best(retrieval, _most(work)))


async def by_similarity(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """The encoder similarity of the query with each chunk's most similar turn."""
    turns = lines(work.retrieved)
    if not turns:
        return await by_keywords(work, tools)
    cosines, _ = await similarity(tools, work.query, [turn.told for turn in turns])
    scores = np.full(len(work.retrieved), -1.0)
    for turn, cosine in zip(turns, cosines, strict=True):
        for i, chunk in enumerate(work.retrieved):
            if chunk.id in turn.chunk_ids:
                scores[i] = max(scores[i], cosine)
    return _findings(work, scores, at_least(scores, SPECIALIST_SHARE, _most(work)))


def _most(work: Workspace) -> int:
    return max(FEW, math.ceil(len(work.retrieved) / 2))


def _findings(work: Workspace, scores: Scores, kept: Iterable[int]) -> tuple[Finding, ...]:
    return tuple(_kept(work.retrieved[i], float(scores[i])) for i in kept)


def _kept(chunk: Chunk, score: float | None) -> Finding:
    return Finding("filter", chunk.text, (chunk.id,), score=score)
