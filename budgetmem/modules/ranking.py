"""How local rungs rank: keyword coverage, encoder similarity, maximal marginal relevance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from budgetmem.backbone import Vectors
from budgetmem.modules.base import Tools
from budgetmem.text import keywords

Scores = NDArray[np.float64]


def coverage(query: str, texts: Sequence[str]) -> Scores:
    """The share of the query's distinct keywords that each text has, 0 to 1: [len(texts)]."""
    wanted = set(keywords(query))
    if not wanted:
        return np.zeros(len(texts))
    return np.array([len(wanted & set(keywords(text))) / len(wanted) for text in texts])


async def similarity(tools: Tools, query: str, texts: Sequence[str]) -> tuple[Scores, Vectors]:
    """Cosine of the query with each text, and the texts' vectors. `texts` is not empty."""
    vectors = await tools.embed([query, *texts])
    return np.asarray(vectors[1:] @ vectors[0], dtype=np.float64), vectors[1:]


def best(scores: Scores, limit: int) -> list[int]:
    """Indices of the `limit` highest scores, best first; earlier ones first among equals."""
    return [int(i) for i in np.argsort(-scores, kind="stable")[:limit]]


def diverse(scores: Scores, vectors: Vectors, limit: int, relevance: float = 0.7) -> list[int]:
    """Indices by maximal marginal relevance, best first.

    MMR (Carbonell and Goldstein, 1998): the next one maximises relevance * score
    - (1 - relevance) * its highest cosine with those already chosen.
    """
    cosines = np.asarray(vectors @ vectors.T, dtype=np.float64)
    chosen: list[int] = []
    left = list(range(len(scores)))
    while left and len(chosen) < limit:
        redundancy = cosines[np.ix_(left, chosen)].max(axis=1) if chosen else np.zeros(len(left))
        gains = relevance * scores[left] - (1 - relevance) * redundancy
        chosen.append(left.pop(int(np.argmax(gains))))
    return chosen
